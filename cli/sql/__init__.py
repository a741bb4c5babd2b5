"""`cva sql`: statements with the SQL functions at hand."""
