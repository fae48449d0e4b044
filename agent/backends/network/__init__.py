"""One request over the network: connections, time limits, lines, retries, whose turn it is."""
