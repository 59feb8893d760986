"""Experts of known packages, run in the interpreter of the package."""
