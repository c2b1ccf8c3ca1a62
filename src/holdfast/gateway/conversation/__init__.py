"""A connection and its session: forwards the client's input to the session, and output back."""
