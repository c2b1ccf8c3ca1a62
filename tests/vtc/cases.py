"""Scripts, how they end and why: the specification of the commands, in pass and fail forms.

The verdicts are VTest2's; the reasons are its too where it gives one.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest
from _pytest.mark import ParameterSet

from holdfast.vtc.run.results import Outcome


class Case(NamedTuple):
    """A script, how it ends, and what its reason contains."""

    title: str
    body: str
    outcome: Outcome
    reason: str = ""
    where: str = ""
    """Line and column, the title being line 1."""

    @property
    def script(self) -> str:
        return f'vtest "{self.title}"\n{self.body.strip()}\n'


def passes(title: str, body: str) -> Case:
    return Case(title, body, Outcome.PASSED)


def fails(title: str, body: str, reason: str, where: str = "") -> Case:
    return Case(title, body, Outcome.FAILED, reason, where)


def skips(title: str, body: str, reason: str) -> Case:
    return Case(title, body, Outcome.SKIPPED, reason)


def conversation(server: str, client: str) -> str:
    """A server and a client, one line each per command."""
    lines = [f"    {line.strip()}" for line in server.strip().splitlines()]
    others = [f"    {line.strip()}" for line in client.strip().splitlines()]
    return "\n".join(
        ["server s1 {", *lines, "} -start", "client c1 -connect ${s1_sock} {", *others, "} -run"]
    )


def parameters(groups: dict[str, list[Case]]) -> list[ParameterSet]:
    """The cases of all groups, each named by its group and its title."""
    return [
        pytest.param(case, id=f"{group}: {case.title}")
        for group, cases in groups.items()
        for case in cases
    ]
