"""Live queries: views of the directory and of groups, evaluated after a change, and the connections that watch them."""
