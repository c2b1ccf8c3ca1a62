"""Mutants that change nothing that a test could see. Each says why."""

from __future__ import annotations

import re
from typing import Final

KINDS: Final = {
    r"__all__\b": "the names for `import *`",
    r"_?log(ger)?\.|log_failure\(": "a log line; the lines for operators have tests of their own",
    r"_log: Final = .*\n.*\(None\)$": "the name of a logger",
    r"if TYPE_CHECKING": "this runs in no program",
    r"[A-Z]\w+ = \w+(\[| \|)": "an alias of types",
    r"[A-Z]\w* = TypeVar\(": "a type variable, which the type checker alone reads",
    r"[A-Z][A-Z0-9_]* = auto\(\)\n": "a member of an enumeration, whose value nobody reads",
}
"""By the beginning of the line before the change, which the line after it follows."""

WORDS: Final = {
    ("frozen=True", "frozen=False"): "the type checker refuses what would show it: an assignment",
    ("gc=False", "gc=True"): "whether the garbage collector looks at an object changes no result",
    (', "big")', ", )"): "the order of bytes that `to_bytes` and `from_bytes` have without it",
}
"""What is changed within a line, and what it becomes."""

LINES: Final[dict[tuple[str, str, str], str]] = {
    (
        "net/upstream/circuit_breaker.py",
        "lasted = 0.0 if given is BreakerInput.PROBE_FAILED else now - self._closed_at",
        "lasted = 1.0 if given is BreakerInput.PROBE_FAILED else now - self._closed_at",
    ): "any time below `LASTED_SECONDS_MIN` is too short to reset the pause",
    (
        "core/rate.py",
        "_ROUNDING: Final = 1 / 128",
        "_ROUNDING: Final = 1 / 129",
    ): "any small part of an event is more than what rounding takes",
    (
        "backends/ssh/packets.py",
        "if len(packet) > _HEAD_BYTES and packet[1] == DATA:",
        "if len(packet) >= _HEAD_BYTES and packet[1] == DATA:",
    ): "a packet of data without padding is refused by the next lines, either way",
    (
        "vtc/language/errors.py",
        'self.actor = ""',
        "self.actor = None",
    ): "whoever records a failure sets it before it is read",
    (
        "vtc/run/reference_run.py",
        'directory=os.environ.get("TMPDIR", "/tmp"),',
        'directory=os.environ.get("TMPDIR", ),',
    ): "without a folder, `tempfile` takes the same one",
    (
        "telnet/client.py",
        "super().lost(cause)",
        "super().lost(None)",
    ): "the base class does not use the cause",
    (
        "gateway/conversation/evidence.py",
        "if len(numbers) > window + window // 8:  # not one by one, with every output",
        "if len(numbers) > window + window // 9:  # not one by one, with every output",
    ): "how many old numbers are dropped at once changes no result",
}
"""By the module, below `src/holdfast`, and the line before and after the change."""


def is_equivalent(module: str, before: str, after: str) -> bool:
    """Whether a change of a line is in one of the lists."""
    change = f"{before}\n{after}"
    return (
        (module, before, after) in LINES
        or any(re.match(kind, change) for kind in KINDS)
        or any(before != before.replace(*words) == after for words in WORDS)
    )
