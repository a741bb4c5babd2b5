"""The command `cva`."""
