"""WebSockets through plain ASGI, on whatever server runs the app."""
