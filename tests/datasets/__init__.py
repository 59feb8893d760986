"""Tests of the datasets of other programs."""
