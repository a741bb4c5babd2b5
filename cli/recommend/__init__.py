"""`cva recommend`: learn what to offer next, and let what won forward in time make the lists."""
