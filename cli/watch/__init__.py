"""`cva watch`: what arrives is loaded, scored and published, by and by."""
