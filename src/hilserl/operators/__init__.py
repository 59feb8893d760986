"""Operators who intervene in a rollout."""
