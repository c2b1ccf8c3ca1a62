"""Commands in the specification of a client or a server."""
