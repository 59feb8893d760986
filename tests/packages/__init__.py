"""Tests of the small distributions beside hilserl."""
