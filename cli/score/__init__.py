"""`cva score`: fills tables of scores without dbt calling Python."""
