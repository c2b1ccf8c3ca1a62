"""A terminal without a glass: a VT102 with what xterm added, and the console mode of FreeBSD.

What the reference emulates is emulated: cells hold printable ASCII, anything
else shows as `?`; colours and double sizes are understood and not shown. No I/O.
"""
