"""Tests of hilserl.policies."""
