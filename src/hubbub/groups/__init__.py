"""Groups without I/O: the directory, rosters, histories, keys of posts, limits on what is kept, and absences."""
