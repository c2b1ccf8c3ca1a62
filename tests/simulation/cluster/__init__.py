"""Several gateways on one database, which any of them may lose, and which may lose itself."""
