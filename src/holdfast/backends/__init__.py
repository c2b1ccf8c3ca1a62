"""What a session can be attached to."""
