"""Mattermost as a chat service of bots."""
