"""Many tools from somebody else's description."""
