"""The WebSocket side of a server."""
