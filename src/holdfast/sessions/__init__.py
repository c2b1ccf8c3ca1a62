"""Sessions, which outlive connections. There are no sockets here; time is an argument."""
