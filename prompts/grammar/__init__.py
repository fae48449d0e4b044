"""Grammars (GBNF) that let a model write only calls as its notation writes them, or JSON as a schema wants it."""
