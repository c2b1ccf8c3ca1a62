"""Commands in the specification of a syslog server."""
