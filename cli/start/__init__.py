"""`cva start`: from files as they are to the report, in one go."""
