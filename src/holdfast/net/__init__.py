"""The shell around the protocol cores: addresses, TLS, servers, connections, time."""
