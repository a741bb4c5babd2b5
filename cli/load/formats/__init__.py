"""How files are written: packed or not, in which encoding, and what parts their columns."""
