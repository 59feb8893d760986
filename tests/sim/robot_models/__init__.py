"""Tests of robots as data."""
