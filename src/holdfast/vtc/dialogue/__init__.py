"""Conversations in messages: WebSocket, Telnet, bare lines, and sessions of a gateway."""
