"""The requirements of a script of HAProxy's suite, in comments: `#REQUIRE_VERSION=2.5` and so
on.

HAProxy's own `run-regtests.sh` reads them with `grep` before it starts the runner; here a test
that cannot run is skipped with the reason.
"""

from __future__ import annotations

import os
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache

from holdfast.vtc.haproxy.processes import haproxy_program

_COMMENT = re.compile(r"^#([0-9A-Z_]+)=(.*)$", re.MULTILINE)
_SINGULARS = {
    "REQUIRE_OPTION": "REQUIRE_OPTIONS",
    "REQUIRE_SERVICE": "REQUIRE_SERVICES",
    "EXCLUDE_TARGET": "EXCLUDE_TARGETS",
}
_QUERY_SECONDS_MAX = 10.0


@dataclass(frozen=True, slots=True)
class HaproxyFacts:
    """The properties that a HAProxy reports."""

    version: tuple[int, ...]
    target: str
    options: frozenset[str]
    services: frozenset[str]


def requirements(text: str) -> dict[str, list[str]]:
    """The comments of a script, each with its words. A singular's word ends at a last comma."""
    found: dict[str, list[str]] = {}
    for name, value in _COMMENT.findall(text):
        if name in _SINGULARS:
            found.setdefault(_SINGULARS[name], []).append(value.rpartition(",")[0] or value)
        else:
            found.setdefault(name, []).extend(word.strip() for word in value.split(","))
    return {name: [word for word in words if word] for name, words in found.items()}


def why_not(text: str, facts: HaproxyFacts | None) -> str:
    """Why a script cannot run with this HAProxy; empty if it can."""
    wanted = requirements(text)
    needs = [name for name in wanted if name.startswith(("REQUIRE_", "EXCLUDE_"))]
    if not needs:
        return ""
    if facts is None:
        return "there is no haproxy"
    return _why_not_version(wanted, facts) or _why_not_build(wanted, facts)


def _why_not_version(wanted: dict[str, list[str]], facts: HaproxyFacts) -> str:
    for version in wanted.get("REQUIRE_VERSION", ()):
        if facts.version < parse_version(version):
            return f"requires HAProxy {version}"
    for version in wanted.get("REQUIRE_VERSION_BELOW", ()):
        if facts.version >= parse_version(version):
            return f"requires HAProxy below {version}"
    return ""


def _why_not_build(wanted: dict[str, list[str]], facts: HaproxyFacts) -> str:
    if facts.target in wanted.get("EXCLUDE_TARGETS", ()):
        return f"excludes target {facts.target}"
    for what, present in (("OPTION", facts.options), ("SERVICE", facts.services)):
        for alternatives in wanted.get(f"REQUIRE_{what}S", ()):
            if present.isdisjoint(alternatives.split("|")):
                return f"requires {what.lower()} {alternatives}"
    return ""


def parse_version(text: str) -> tuple[int, ...]:
    """A version's numbers, four of them; what follows a number is dropped."""
    numbers = [re.match(r"\d*", part) for part in text.split(".")[:4]]
    found = [int(number[0] or 0) if number else 0 for number in numbers]
    return tuple(found + [0] * (4 - len(found)))


@lru_cache(maxsize=8)
def haproxy_facts(program: str) -> HaproxyFacts | None:
    """Return the properties that `program` reports; `None` if there is no such program."""
    try:
        said = subprocess.run(
            (program, "-vv"), capture_output=True, timeout=_QUERY_SECONDS_MAX, check=False
        ).stdout.decode("latin-1")
    except (OSError, subprocess.TimeoutExpired):
        return None
    return parse_facts(said)


def installed_why_not(text: str) -> str:
    """Why a script cannot run with the HAProxy that tests run here; empty if it can."""
    if not _COMMENT.search(text):
        return ""
    return why_not(text, haproxy_facts(haproxy_program(os.environb)))


def parse_facts(said: str) -> HaproxyFacts | None:
    """The facts in the output of `haproxy -vv`."""
    version = re.search(r"^HA-?Proxy version (\S+)", said, re.MULTILINE)
    if not version:
        return None
    target = re.search(r"^\s*TARGET\s*=\s*(\S+)", said, re.MULTILINE)
    features = re.search(r"^Feature list\s*:(.*)$", said, re.MULTILINE)
    services = re.search(r"^Available services\s*:(.*)$", said, re.MULTILINE)
    return HaproxyFacts(
        parse_version(version[1]),
        target[1] if target else "",
        frozenset(word[1:] for word in _words(features) if word.startswith("+")),
        frozenset(_words(services)),
    )


def _words(match: re.Match[str] | None) -> list[str]:
    return match[1].split() if match else []
