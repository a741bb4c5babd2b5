"""`cva audience`: a file of customers for a tool that writes to them."""
