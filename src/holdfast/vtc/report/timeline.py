"""The events of a test in the order of time: as text, or as a page with a lane for each actor."""

from __future__ import annotations

import html
import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from holdfast.vtc.language.source import ENCODING
from holdfast.vtc.run.log import LogEntry
from holdfast.vtc.run.results import Result

_SENT = {"txreq", "txresp", "txpri", "send", "send_n", "send_urgent", "sendhex", "chunked", "tx"}
_RECEIVED = {"rxhdr", "c-l", "eof", "chunk", "recv", "syslog", "rx"}
_CLI = {"CLI send": "send", "CLI recv": "recv"}
_OUTPUT = {"debug", "stderr", "output", "shell_out"}
_SOCK = re.compile(r"macro def (\S+)_sock=(\S+)")
_CONNECT = re.compile(r"(?:CLI connected fd .* to|Connect to) (\S+)")
_ACCEPT = re.compile(r"accepted fd -?\d+ (\S+) (\d+)")
_FRAME = re.compile(r"(tx|rx): (stream: \d+, type: \S+ \(\d+\).*)")
_PLACE = ("at ", "| ")
"""The beginning of the lines after a failure's reason, which show its place."""
_SUMMARY_CHARS_MAX = 100


class Kind(Enum):
    """The kind of event. The value is its sign in the text."""

    SENT = "→"
    RECEIVED = "←"
    CHECKED = "✓"
    SAID = "|"
    FAILED = "✗"


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened."""

    seconds: float
    actor: str
    peer: str
    kind: Kind
    text: str


def events(entries: Sequence[LogEntry]) -> list[Event]:
    """Yield the events of a log."""
    return _Reader().read(entries)


class _Reader:
    def __init__(self) -> None:
        self._names: dict[str, str] = {}
        """Who listens at an address."""
        self._peers: dict[str, str] = {}
        """Whom an actor is connected to."""
        self._events: list[Event] = []

    def read(self, entries: Sequence[LogEntry]) -> list[Event]:
        for entry in entries:
            if entry.prefix:
                self._dump(entry)
            elif isinstance(entry.data, str):
                self._line(entry, entry.data)
        return self._events

    def _dump(self, entry: LogEntry) -> None:
        kind = _kind(entry.prefix)
        if kind is None or not entry.data:
            return
        peer = self._peer(entry.actor) if kind is not Kind.SAID else ""
        self._add(entry, kind, _summary(entry), peer)

    def _peer(self, actor: str) -> str:
        address = self._peers.get(actor.partition(".")[0], "")
        return self._names.get(address, address)

    def _add(self, entry: LogEntry, kind: Kind, text: str, peer: str = "") -> None:
        self._events.append(Event(entry.seconds, entry.actor, peer, kind, text))

    def _line(self, entry: LogEntry, text: str) -> None:
        if match := _SOCK.match(text):
            self._names[match[2]] = match[1]
        elif match := _CONNECT.match(text):
            self._peers[entry.actor] = match[1]
        elif match := _ACCEPT.match(text):
            self._peers[entry.actor] = f"{match[1]}:{match[2]}"
        elif match := _FRAME.match(text):
            kind = Kind.SENT if match[1] == "tx" else Kind.RECEIVED
            self._add(entry, kind, match[2], self._peer(entry.actor))
        elif text.startswith(("EXPECT ", "CLI expect match")) and entry.level > 0:
            self._add(entry, Kind.CHECKED, text)
        elif entry.level == 0 and not text.startswith(_PLACE):
            self._add(entry, Kind.FAILED, text)


def _kind(prefix: str) -> Kind | None:
    name = _CLI.get(prefix, prefix)
    if name in _SENT:
        return Kind.SENT
    if name in _RECEIVED:
        return Kind.RECEIVED
    return Kind.SAID if name in _OUTPUT else None


def _summary(entry: LogEntry) -> str:
    data = entry.data.decode(ENCODING) if isinstance(entry.data, bytes) else entry.data
    first = data.strip().partition("\n")[0].strip()
    shown = first if first.isprintable() else repr(first)[1:-1]
    more = len(shown) - _SUMMARY_CHARS_MAX
    if more > 0:
        shown = f"{shown[:_SUMMARY_CHARS_MAX]}…"
    return f"{shown} ({entry.size} bytes)"


def as_text(result: Result) -> str:
    """The timeline of one test as text."""
    lines = [f"{result.script.name}: {result.outcome.value} ({result.seconds:.3f})"]
    for event in events(result.log.entries):
        who = f"{event.actor} {event.kind.value} {event.peer}".rstrip()
        lines.append(f"  {event.seconds:8.3f}  {who:<24}  {event.text}")
    return "\n".join(lines) + "\n"


_STYLE = """
body { font: 14px/1.4 system-ui, sans-serif; margin: 2em; color: #222; background: #fff; }
table { border-collapse: collapse; margin-bottom: 3em; }
th, td { padding: .15em .8em; text-align: left; vertical-align: top; }
th { border-bottom: 2px solid #888; position: sticky; top: 0; background: #fff; }
td { border-left: 1px solid #ddd; font-family: ui-monospace, monospace; font-size: 12px; }
td:first-child { border-left: 0; color: #777; }
.SENT { color: #0a4d8c; } .RECEIVED { color: #22662a; } .CHECKED { color: #777; }
.SAID { color: #8a5a00; } .FAILED { color: #b00020; font-weight: bold; }
@media (prefers-color-scheme: dark) {
  body, th { background: #16181c; color: #ddd; } td { border-color: #333; }
  .SENT { color: #7ab8f5; } .RECEIVED { color: #85d08c; } .SAID { color: #e0b060; }
  .FAILED { color: #ff7b8a; }
}
"""


def as_html(results: Sequence[Result]) -> str:
    """The timelines of all tests as one page that needs nothing else."""
    tables = "".join(_table(result) for result in results)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Timeline</title>'
        f"<style>{_STYLE}</style></head>\n<body>\n{tables}</body></html>\n"
    )


def _table(result: Result) -> str:
    found = events(result.log.entries)
    lanes = sorted({event.actor.partition(".")[0] for event in found})
    title = f"{result.script.name}: {result.outcome.value} ({result.seconds:.3f} s)"
    head = "".join(f"<th>{html.escape(lane)}</th>" for lane in lanes)
    rows = "".join(_row(event, lanes) for event in found)
    return (
        f"<h2>{html.escape(title)}</h2>\n"
        f"<table><thead><tr><th>s</th>{head}</tr></thead>\n<tbody>\n{rows}</tbody></table>\n"
    )


def _row(event: Event, lanes: Sequence[str]) -> str:
    own, _, stream = event.actor.partition(".")
    cells = []
    for lane in lanes:
        text = ""
        if lane == own:
            to = f"{event.kind.value} {event.peer}".strip()
            text = html.escape(f"{f'[{stream}] ' if stream else ''}{to} {event.text}")
        cells.append(f'<td class="{event.kind.name}">{text}</td>')
    return f"<tr><td>{event.seconds:.3f}</td>{''.join(cells)}</tr>\n"
