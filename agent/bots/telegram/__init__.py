"""Telegram as a chat service of bots."""
