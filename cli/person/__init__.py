"""Shows everything that a shop keeps of one person."""
