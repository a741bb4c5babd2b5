"""`cva embed`: reads the review texts that were not read yet."""
