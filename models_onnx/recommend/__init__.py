"""What to offer a customer next: candidates, a ranker over them, and which of them is deployed."""
