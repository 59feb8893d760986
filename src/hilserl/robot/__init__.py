"""The HTTP robot server and the arms it stands in front of."""
