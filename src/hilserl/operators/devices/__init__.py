"""Input devices of a human operator."""
