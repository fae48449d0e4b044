"""What readers of several notations have in common: scanning, quoting, thoughts, calls that nobody made."""
