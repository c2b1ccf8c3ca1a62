"""Connections: accepted and dialled transports, their handlers, limits and back-pressure."""
