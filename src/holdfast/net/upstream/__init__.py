"""Upstream servers: several servers of one kind, and the choice among them.

`balance`, `breaker`, `health` and `pool` decide and do no I/O; `dialler` connects.
"""
