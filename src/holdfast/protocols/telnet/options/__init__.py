"""The Telnet options, one file each. A role's table lists the options that it performs and
requests."""
