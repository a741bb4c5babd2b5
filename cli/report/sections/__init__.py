"""The page's sections: each reads its tables and says in words and plots what is in them."""
