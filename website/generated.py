"""Pages of the reference that are made from the program itself."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterator
from importlib import resources
from typing import Any, Final

import click

from holdfast.backends import http, pty
from holdfast.cli.commands import LISTED, load
from holdfast.gateway.api.config import ApiConfig
from holdfast.gateway.config import Config
from holdfast.gateway.gateway import Gateway
from holdfast.gateway.metrics import Metrics
from holdfast.sessions.states import TABLE, SessionInput, SessionState
from holdfast.vtc.language.manual import manual

_MODULES: Final = {
    "app": (
        "The SDK for applications",
        "What an application imports: `from holdfast.app import App`.",
    ),
    "client": ("The Python client", "A client that reconnects and resumes by itself."),
    "publish": (
        "Publishing: the API",
        "[Send from any program](../publish.md) has examples.",
    ),
    "tcp": ("TCP servers: the API", "[TCP servers](../tcp.md) has examples."),
    "telnet": ("Telnet: the API", "[Telnet servers and clients](../telnet.md) has examples."),
    "websocket": (
        "WebSockets: the API",
        "[WebSocket servers and clients](../websocket.md) has examples.",
    ),
}
"""By public module: the heading and the introduction of its page."""


def commands() -> str:
    """Every command, as its `--help` says."""
    lines = ["# Commands", "", "`holdfast COMMAND --help` says the same.", ""]
    lines += [
        f"- [`holdfast {name}`](#holdfast-{name}): {one.summary}" for name, one in LISTED.items()
    ]
    for name in LISTED:
        lines += ["", f"## holdfast {name}", "", *_command(name)]
    return "\n".join(lines) + "\n"


def _command(name: str) -> Iterator[str]:
    command = load(name)
    context = click.Context(command, info_name=f"holdfast {name}")
    yield f"```\n{command.get_usage(context).removeprefix('Usage: ')}\n```\n"
    yield re.sub(r"(?m)^( {4,}holdfast .*)$", r"\1", command.help or "")
    rows = [row for row in map(_parameter, command.params) if row]
    if rows:
        yield "\n| argument | meaning |\n|---|---|"
        yield from rows


def _parameter(parameter: Any) -> str:
    help_ = (getattr(parameter, "help", "") or "").replace("|", r"\|")
    names = "`, `".join([*parameter.opts, *parameter.secondary_opts])
    if isinstance(parameter, click.Argument) or parameter.param_type_name == "argument":
        names = parameter.make_metavar(click.Context(click.Command("x"))) or names
    return f"| `{names}` | {help_} |"


def metrics() -> str:
    """Every metric, with its labels and its meaning."""
    lines = [
        "# Metrics",
        "",
        "What `GET /metrics` of the [admin listener](../operations.md#the-admin-listener) returns,"
        " beside the metrics of the process (`process_…`). The name of a counter ends in `_total`.",
        "",
        "| metric | type | labels | meaning |",
        "|---|---|---|---|",
    ]
    for family in asyncio.run(_families()):
        labels = ", ".join(f"`{name}`" for name in family._labelnames)
        lines.append(f"| `{family.name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(lines) + "\n"


async def _families() -> list[Any]:
    """What a gateway that is not started would expose: one with an API, and with a backend of each
    kind that has metrics of its own."""
    gateway = Gateway(Config(listener=(), api=ApiConfig(listen="tcp://127.0.0.1:0")))
    for backend in (http.Config(endpoint="http://127.0.0.1/"), pty.Config()):
        gateway.backends.open(backend)
    registry = Metrics(gateway._view()).registry
    return [family for family in registry.collect() if family.name.startswith("holdfast_")]


def states() -> str:
    """The states of a session, and what leads from one to another."""
    lines = [
        "# States of a session",
        "",
        "`holdfast sessions --state STATE` lists those in one state.",
        "",
        "| state | input | next state |",
        "|---|---|---|",
    ]
    for state in SessionState:
        for given in SessionInput:
            if TABLE.allows(state, given):
                then = TABLE.step(state, given).state
                lines.append(f"| `{state.value}` | {given.value} | `{then.value}` |")
    return "\n".join(lines) + "\n"


def module_page(name: str) -> Callable[[], str]:
    """A page on a public module, which mkdocstrings fills."""
    heading, introduction = _MODULES[name]
    public = __import__(f"holdfast.{name}", fromlist=["__all__"]).__all__

    def page() -> str:
        lines = [f"# {heading}", "", introduction]
        for one in public:
            lines += ["", f"::: holdfast.{name}.{one}"]
        return "\n".join(lines) + "\n"

    return page


# --- holdfast.js

_DOCUMENTED: Final = re.compile(
    r"^  /\*\*(?P<comment>(?:[^*]|\*(?!/))*)\*/\n"
    r"  (?P<signature>(?:async |get )?[a-z]\w*\([^)]*\)) \{$",
    re.MULTILINE,
)
_TAG: Final = re.compile(r" ?@(param|returns|throws|template|type) ")
_PARAMETER: Final = re.compile(r"(\{.*?\}) (\[?\w+\]?)(.*)")


def javascript() -> str:
    """The methods of the browser's client, with their comments."""
    source = (resources.files("holdfast.web") / "holdfast.js").read_text()
    body = source.partition("export class Session {")[2].partition("\n}\n")[0]
    lines = [
        "# The JavaScript client",
        "",
        '`import { Session } from "/holdfast.js"`: one file without dependencies, which every'
        " WebSocket listener serves. [The protocol](../holdfast-v1.md) says what it does.",
    ]
    for match in _DOCUMENTED.finditer(body):
        lines += ["", f"## `{match['signature']}`", "", *_comment(match["comment"])]
    return "\n".join(lines) + "\n"


def _comment(text: str) -> Iterator[str]:
    """The comment as Markdown: what it says, then its parameters and errors."""
    words = " ".join(line.strip().removeprefix("*").strip() for line in text.strip().splitlines())
    first, *tags = _TAG.split(words)
    yield first.strip()
    yield ""
    for tag, rest in zip(tags[::2], tags[1::2], strict=True):
        if tag == "param" and (match := _PARAMETER.match(rest)):
            yield f"- `{match[2]}` `{match[1]}`{match[3]}"
        elif tag in ("returns", "throws"):
            kind, _, meaning = rest.rpartition("}")
            yield f"- {tag} `{kind}}}`{meaning}"


def vtc() -> str:
    """The manual of the test language."""
    return manual()


PAGES: Final[dict[str, Callable[[], str]]] = {
    "reference/cli.md": commands,
    "reference/javascript.md": javascript,
    "reference/metrics.md": metrics,
    "reference/states.md": states,
    "reference/vtc.md": vtc,
    **{f"reference/{name}.md": module_page(name) for name in _MODULES},
}
"""By page of the site: what makes it."""
