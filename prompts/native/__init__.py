"""The native notations, `gemma4` and `functiongemma`."""
