"""Gymnasium environments that run in another Python interpreter."""
