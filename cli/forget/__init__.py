"""Erases a person wherever a shop keeps something of them."""
