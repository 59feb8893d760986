"""Encoders of camera images with the trained heads behind them."""
