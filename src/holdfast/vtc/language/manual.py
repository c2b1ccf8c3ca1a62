"""The manual of the language, made from what the commands say about themselves."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.vtc.language.command import Command, CommandOption
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.registry import commands

_CHAPTERS = (
    (Context.TOP, "Top level", "The commands of a script."),
    (Context.ANYWHERE, "Everywhere", "These stand in every specification."),
    (Context.HTTP, "Clients and servers", "The specification of a `client` or a `server`."),
    (Context.STREAM, "HTTP/2 streams", "The specification of a `stream`."),
    (Context.TUNNEL, "Tunnels", "The specification of a `tunnel`."),
    (Context.SYSLOG, "Syslog servers", "The specification of a `syslog`."),
    (Context.WS, "WebSockets", "The specification of a `ws`."),
    (Context.LINES, "Lines and Telnet", "The specification of a `lines` or a `telnet`."),
    (Context.SESSION, "Sessions", "The specification of a `session`."),
    (Context.CLI, "HAProxy's command line", "What `haproxy -cli` and `-mcli` run."),
)
_INTRODUCTION = """\
# The test language

A script is a file that begins with `vtest "TITLE"`. It plays clients, servers and daemons, each
of which runs a *specification*: commands in braces. Commands stand on lines of their own; a
backslash at the end of a line joins it with the next, and `#` at the start of a line makes it a
comment. A word is bare, in double quotes (with `\\n \\r \\t \\" \\\\ \\OOO \\xHH`) or in
braces, where all is literal. `${NAME}` is replaced by a macro: `${testdir}`, `${tmpdir}`,
`${pwd}`, `${localhost}`, `${bad_backend}`, `${bad_ip}`, `${listen_addr}`, `${vtcid}`, `${date}`,
`${string,repeat,NUMBER,TEXT}`, and what instances define.

A test passes when its last command is done and nothing has failed.
"""


def manual() -> str:
    """The whole manual, in Markdown."""
    return "\n".join([_INTRODUCTION, *_chapters()])


def _chapters() -> Iterator[str]:
    shown: set[str] = set()
    for context, title, text in _CHAPTERS:
        yield f"## {title}\n\n{text}\n"
        for command in commands(context):
            yield entry(command, with_example=command.example not in shown)
            shown.add(command.example)


def entry(command: Command, *, with_example: bool = True) -> str:
    """The manual's entry of one command."""
    parts = [f"### {command.name}\n", f"```\n{command.name} {command.usage}".rstrip() + "\n```\n"]
    parts.append(f"{command.text}\n")
    if command.options:
        parts.append("\n".join(_option(option) for option in command.options) + "\n")
    if command.example and with_example:
        parts.append(f"Example:\n\n```\n{command.example.strip()}\n```\n")
    return "\n".join(parts)


def _option(option: CommandOption) -> str:
    usage = " ".join((option.flag.replace("*", "HH"), *option.values))
    return f"- `{usage}`: {option.text}"
