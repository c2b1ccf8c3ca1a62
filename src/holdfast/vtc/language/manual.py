"""The manual of the language, made from the declarations of the commands."""

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

A script is a file that begins with `vtest "TITLE"`. It runs clients, servers and daemons, each
with a *specification*: commands in braces. Each command stands on a line of its own. A backslash
at the end of a line joins it with the next line. `#` at the start of a line begins a comment. A
word is bare, in double quotes (with the escapes `\\n \\r \\t \\" \\\\ \\OOO \\xHH`), or in
braces. Text in braces is literal.

`${NAME}` is replaced by the value of a macro when the command runs. These macros always exist:
`${testdir}`, `${tmpdir}`, `${pwd}`, `${localhost}`, `${bad_backend}`, `${bad_ip}`,
`${listen_addr}`, `${vtcid}`, `${date}`, `${string,repeat,NUMBER,TEXT}`. Instances define others.
A value is not expanded again. A reference may contain others, at most 8 within each other; the
inner ones are expanded first, so `${${which}_sock}` uses the address of the server that
`${which}` names. VTest2 has no nested macros. With `feature ignore_unknown_macro` a reference ends
at its first `}`, as in VTest2, so `${${x}}` stays as it is.

The macros of an instance that listens (`${s1_addr}`, `${s1_port}`, `${s1_sock}`) exist from its
start to the end of the test: `-wait` and `-stop` do not remove them, and a later start listens at
the same address. `${NAME_pid}` of a process, a gateway or an application exists while it runs. The
macros of a client's session (`${u1_sid}`, `${u1_token}`, `${u1_epoch}`) and those of `save` keep
their last value.

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
