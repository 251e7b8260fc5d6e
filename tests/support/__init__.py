"""What several test files need: servers, clients, stores, faults."""
