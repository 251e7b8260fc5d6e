"""A hub: realtime groups inside a Python app, which decides in hooks who may join, post and connect."""
