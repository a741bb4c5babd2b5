"""The candidates: a file each with an attribute `CANDIDATE`; see `contract.py` above."""
