"""How a column's numbers and times are written, decided over all of its values."""
