"""Exchanges with a model, recorded and played again."""
