"""`cva explain`: a customer's score, its reasons, and what a change would make of it."""
