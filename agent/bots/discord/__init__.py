"""Discord as a chat service of bots."""
