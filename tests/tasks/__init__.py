"""Tests of hilserl.tasks."""
