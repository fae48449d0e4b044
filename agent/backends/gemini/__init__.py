"""Gemma on Google's Gemini API."""
