"""The command line: `gemmagraph`."""

from gemmagraph.cli.app import main

__all__ = ["main"]
