"""Tests of the panel's sections."""
