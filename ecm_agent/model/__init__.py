"""The nouns of the memory and of its backups, free of SQL, bytes and I/O."""
