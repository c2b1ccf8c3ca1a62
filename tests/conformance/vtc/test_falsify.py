"""The conformance run's own tools: copies with a false expectation, apt's entries, verdicts."""

from __future__ import annotations

import re

import pytest

from holdfast.vtc.run.results import Outcome
from tests.conformance.vtc.falsify import falsified
from tests.conformance.vtc.sources import as_source_entries
from tests.programs import need
from tests.vtc.actors import cases as actor_cases
from tests.vtc.cases import Case
from tests.vtc.commands import cases as top_cases
from tests.vtc.haproxy import cases as haproxy_cases
from tests.vtc.http import cases as http_cases
from tests.vtc.running import run_script


@pytest.mark.parametrize(
    ("command", "opposite"),
    [
        ("expect resp.status == 200", "expect resp.status != 200"),
        ("expect resp.http.a != <undef>", "expect resp.http.a == <undef>"),
        ('expect req.url ~ "^/"', 'expect req.url !~ "^/"'),
        ("expect ~ hello", "expect !~ hello"),
        ("expect req.bodylen -lt 3", "expect req.bodylen -ge 3"),
        ("expect req.bodylen <= 3", "expect req.bodylen > 3"),
        ("haproxy h1 -conf-OK {x}", "haproxy h1 -conf-BAD {no-such-thing-} {x}"),
        ("haproxy h1 -conf-BAD {a} {x}", "haproxy h1 -conf-BAD {no-such-thing-a} {x}"),
        ('shell -expect "a" {x}', 'shell -expect "no-such-thing-a" {x}'),
        ("shell -match a {x}", "shell -match no-such-thing-a {x}"),
        ("shell -exit 3 {x}", "shell -exit 4 {x}"),
        ("shell -err {x}", "shell {x}"),
        ("shell {x}", "shell -err {x}"),
        ('process p1 -expect-text 1 2 "a"', 'process p1 -expect-text 1 2 "no-such-thing-a"'),
        ("process p1 -expect-cursor 3 4", "process p1 -expect-cursor 4 4"),
        ("expect_close", "recv 1"),
        ('rx line "a"', 'rx line "no-such-thing-a"'),
        ("rx line a", "rx line no-such-thing-a"),
        ('rx text -until "^a$"', 'rx text -until "no-such-thing-^a$"'),
        ("rx welcome", "rx welcome no-such-thing-"),
        ("gateway g1 -conf-BAD {a} {x}", "gateway g1 -conf-BAD {no-such-thing-a} {x}"),
    ],
)
def test_each_expectation_has_an_opposite(command: str, opposite: str) -> None:
    text = f'vtest "t"\n{command}\nnonsense\n'
    result = run_script('vtest "t"\nshell {true}\n')
    (place,) = result.checks
    made = falsified(text, [place])
    assert made is not None
    assert made[0] == f'vtest "t"\n{opposite}\nnonsense\n'


def test_what_cannot_be_falsified_is_told() -> None:
    result = run_script("delay 0")
    assert falsified(result.script.source.text, result.checks) is None


def test_the_last_expectation_that_held_is_taken() -> None:
    result = run_script("shell {true}\nshell -exit 1 {exit 1}\ndelay 0")
    made = falsified(result.script.source.text, result.checks)
    assert made is not None
    assert "shell {true}\nshell -exit 2 {exit 1}\n" in made[0]


EXPECTS = re.compile(r"expect |-expect-(text|cursor)|-match|-conf-|-err {false}")
GROUPS = {
    "shell": top_cases.SHELL,
    "messages": http_cases.MESSAGES,
    "processes": actor_cases.PROCESSES,
    "syslog": actor_cases.SYSLOG,
    "command lines": haproxy_cases.COMMAND_LINES,
    "checks": haproxy_cases.CHECKS,
}
PASSING = [
    pytest.param(case, id=f"{group}: {case.title}")
    for group, cases in GROUPS.items()
    for case in cases
    if case.outcome is Outcome.PASSED and EXPECTS.search(case.body)
]


@pytest.mark.parametrize("case", PASSING)
def test_a_script_with_a_false_expectation_fails(case: Case) -> None:
    if "haproxy" in case.body:
        need("haproxy")
    result = run_script(case.script)
    made = falsified(result.script.source.text, result.checks)
    assert made is not None, "nothing that was checked is known"
    assert run_script(made[0], seconds_max=2.0).outcome is Outcome.FAILED


@pytest.mark.parametrize(
    ("name", "entries", "sources"),
    [
        (
            "a.list",
            "# a comment\ndeb [signed-by=/k] http://mirror/debian x main\ndeb-src http://old x y\n",
            "deb-src [signed-by=/k] http://mirror/debian x main\n",
        ),
        (
            "a.sources",
            "Types: deb\nURIs: a:/m\nSuites: x x-updates\n\nTypes: deb deb-src\nURIs: b:/\n",
            "Types: deb-src\nURIs: a:/m\nSuites: x x-updates\n\nTypes: deb-src\nURIs: b:/\n",
        ),
    ],
)
def test_apt_s_entries_ask_for_sources(name: str, entries: str, sources: str) -> None:
    assert as_source_entries(name, entries) == sources
