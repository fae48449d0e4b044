"""What of a tool's result the model gets to read."""
