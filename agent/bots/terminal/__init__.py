"""Your own terminal as a chat service."""
