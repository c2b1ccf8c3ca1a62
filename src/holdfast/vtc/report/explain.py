"""Explains a failure: its place, the comparison, the received data, the daemons' output."""

from __future__ import annotations

from collections.abc import Iterator

from holdfast.vtc.run.log import LogEntry
from holdfast.vtc.run.results import Outcome, Result

LAST_LINES_MAX = 10
_OUTPUT = ("debug", "output", "stdout", "stderr")
"""The output of processes, by the log's prefixes."""


def explain(result: Result) -> str:
    """Some lines about a result that is no success; empty for a success."""
    return "".join(f"{line}\n" for line in _lines(result))


def _lines(result: Result) -> Iterator[str]:
    if result.outcome is Outcome.SKIPPED:
        yield f"skipped: {result.reason}"
    failure = result.failure
    if result.outcome is not Outcome.FAILED or failure is None:
        return
    where = f"{failure.position}: " if failure.position else ""
    yield f"{where}{failure.actor}: {failure}"
    if failure.position:
        line, caret = failure.position.excerpt()
        yield f"    {line}"
        yield f"    {caret}"
    for note in failure.notes:
        yield from _block(note.title, note.text.splitlines())
    told = {note.title for note in failure.notes}
    for actor, words in last_words(result.log.entries).items():
        if not (told & {"haproxy", "screen"} and failure.actor == actor):
            yield from _block(f"{actor}, last words", words)
    if result.directory:
        yield f"  kept in {result.directory}"


def _block(title: str, lines: list[str]) -> Iterator[str]:
    yield f"  {title}:"
    for line in lines:
        yield f"    {line}"


def last_words(entries: list[LogEntry]) -> dict[str, list[str]]:
    """The last lines that each process wrote."""
    said: dict[str, list[str]] = {}
    for entry in entries:
        if entry.prefix in _OUTPUT and not entry.hexadecimal:
            lines = [line.removesuffix(r"\r") for line in entry.dumped() if line]
            said.setdefault(entry.actor, []).extend(lines)
    return {actor: lines[-LAST_LINES_MAX:] for actor, lines in said.items()}
