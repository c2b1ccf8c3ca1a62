"""TLS: options, contexts and certificates."""
