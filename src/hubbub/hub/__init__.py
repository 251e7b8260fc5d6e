"""A hub: Hubbub inside a Python app."""
