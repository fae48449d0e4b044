"""Slack as a chat service of bots."""
