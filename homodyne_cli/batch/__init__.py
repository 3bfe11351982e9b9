"""Many fits of one kind: which scans and rings, in which processes, into one table."""
