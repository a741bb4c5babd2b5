"""`cva init`: a dbt project with the package in it; `scan/` proposes which table is which."""
