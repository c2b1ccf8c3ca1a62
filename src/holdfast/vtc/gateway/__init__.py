"""Gateways and applications as processes of a test."""
