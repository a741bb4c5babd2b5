"""`cva load`: files and queries become raw tables with canonical columns."""
