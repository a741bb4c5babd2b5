"""Layouts of exports that vendors write: one small file each, and what reads them."""
