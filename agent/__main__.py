"""`python -m gemmagraph`: the same as `gemmagraph`."""

from gemmagraph.cli import main

main(prog_name="gemmagraph")
