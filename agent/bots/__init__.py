"""Bots: the assistant in the channels where people work. One core, and a thin adapter for each chat service."""
