"""Threads on disk: what was said, what was done, who was asked, whose turn it is."""
