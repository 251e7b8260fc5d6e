"""What the process of ``hubbub serve`` sets up around the server: loop, garbage collector, open files, workers."""
