"""Sessions: what outlives a connection. Knows nothing of sockets; time is an argument."""
