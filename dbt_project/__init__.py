"""The dbt package `cva`, shipped as data beside the Python that runs it."""
