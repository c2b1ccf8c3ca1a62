"""The options of `holdfast-vtest`."""

from __future__ import annotations

from dataclasses import dataclass, field

SECONDS_MAX = 60


@dataclass(slots=True)
class ReferenceOptions:
    """The command line."""

    files: list[str] = field(default_factory=list)
    macros: dict[str, str] = field(default_factory=dict)
    jobs: int = 1
    iterations: int = 1
    seconds: float = SECONDS_MAX
    go_on: bool = False
    keep: str = "none"
    in_source_tree: bool = False
    verbosity: int = 1
    vtest1: bool = False
