"""The bodies that a declared tool can have."""
