"""`cva publish`: what was published, for tools that open neither DuckDB nor Parquet."""
