"""A folder of weights, run in this process by transformers."""
