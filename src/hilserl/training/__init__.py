"""Training of a policy in one process."""
