"""A connection and its session: what the client sends goes to the session, and back."""
