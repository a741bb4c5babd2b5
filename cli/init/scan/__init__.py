"""`cva init --scan`: which table of a database is which canonical table, with the evidence."""
