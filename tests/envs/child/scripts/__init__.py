"""Tests of the experts of known packages."""
