"""The HTTP API: what other programs send to sessions, and ask of them (docs/publish.md)."""
