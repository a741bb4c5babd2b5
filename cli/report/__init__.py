"""`cva report`: what the tables say, in one HTML file for a person who reads no SQL."""
