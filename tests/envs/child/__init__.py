"""Tests of environments in another interpreter."""
