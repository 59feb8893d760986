"""Sources of human control."""
