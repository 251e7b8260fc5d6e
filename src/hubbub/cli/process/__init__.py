"""What ``hubbub serve`` sets up around the server: event loop, garbage collector, open files, workers."""
