"""`cva finetune`: the text encoder taught on the shop's own texts."""
