"""The network test language: `.vtc` scripts that play clients, servers and daemons.

A script is compatible with VTest2 and varnishtest. `holdfast-vtest` is the
drop-in program, `holdfast vtc` the comfortable one, and pytest collects `.vtc`
files. The language is interpreted line by line: `lexer` cuts a command,
`macros` fills it in, `registry` finds it and `interpreter` runs it. One run of
one script is a `case.Case`, which owns everything that the script makes:
instances, processes, macros, environment and directory. Nothing is global, so
many cases run side by side in one event loop.
"""
