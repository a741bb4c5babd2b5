"""`cva evaluate`: the temporal back-test and what it says."""
