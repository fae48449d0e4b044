"""The prompted notations: what a model without native calls is taught to write."""
