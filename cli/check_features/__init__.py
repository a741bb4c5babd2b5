"""`cva check-features`: which features look past the date they are as of."""
