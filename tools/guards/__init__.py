"""What tools may touch. Made for the bodies of declared tools, usable by any tool."""
