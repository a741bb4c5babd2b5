"""The text encoder taught further on a shop's own texts; needs the extra `encoder`."""
