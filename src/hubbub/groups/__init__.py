"""What is true of groups, without I/O: the directory, rosters, histories, and who is expected back."""
