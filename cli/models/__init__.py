"""`cva models`: which models are there and what is known of them."""
