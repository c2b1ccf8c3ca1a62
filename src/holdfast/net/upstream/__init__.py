"""Where clients are passed on to: several servers of one kind, and which of them is next.

`balance`, `breaker`, `health` and `pool` decide and do no I/O; `dialler` connects.
"""
