"""Tests of robots from files."""
