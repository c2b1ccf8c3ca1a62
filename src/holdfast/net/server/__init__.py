"""Servers: listening sockets, admission, handshakes, and the orderly end."""
