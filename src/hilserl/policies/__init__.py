"""Trained policies as files."""
