"""Hubbub: realtime groups. Join a group by name, post JSON, list and search groups, see who comes and goes."""
