"""Terminals: what the kinds `ssh` and `pty` share."""
