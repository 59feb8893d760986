"""Tests of the scene for people."""
