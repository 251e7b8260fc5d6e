"""Input from terminals and pipes, and output that is safe to print."""
