"""Tests of tasks in scenes of one's own."""
