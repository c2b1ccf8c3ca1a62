"""Commands of a specification of lines, bare or with Telnet."""
