"""Transports: our own sockets, TLS on top, and what the kernel knows of a socket."""
