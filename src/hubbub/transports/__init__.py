"""Transports: each turns bytes of the network into frames of a session or operations of the node, and back."""
