"""Tests of hilserl.distributed."""
