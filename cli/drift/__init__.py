"""`cva drift`: whether customers are still those that the model learned from."""
