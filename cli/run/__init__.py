"""`cva run`: dbt build, gates, publication."""
