"""Foreign bytes, turned bits and kills at every step."""
