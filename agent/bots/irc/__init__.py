"""IRC as a chat service of bots."""
