"""`cva embed`: reads the texts that were not read yet."""
