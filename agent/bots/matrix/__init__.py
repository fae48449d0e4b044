"""Matrix as a chat service of bots."""
