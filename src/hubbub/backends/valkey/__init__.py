"""The backend of many nodes: what they share is in a Valkey (or Redis 7.2+), changed by scripts that run there."""
