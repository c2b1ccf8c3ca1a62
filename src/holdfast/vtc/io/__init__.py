"""How a test reaches the outside: addresses, connections, TLS, files."""
