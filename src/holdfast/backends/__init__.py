"""Backends: the programs behind sessions."""
