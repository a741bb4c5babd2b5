"""`cva backfill`: the history as it would be, had cva been there before."""
