"""The demo: a chat of several rooms."""
