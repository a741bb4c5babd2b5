"""The members of the ensemble."""
