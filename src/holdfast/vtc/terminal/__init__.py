"""A terminal emulator: a VT102 with xterm's additions, and the console mode of FreeBSD.

It emulates what the reference emulates: cells hold printable ASCII, anything else shows as `?`;
colours and double sizes are parsed and not shown. No I/O.
"""
