"""From training examples to a fitted model that was validated forward in time."""
