"""What is told of results: explained failures, reports for machines, timelines."""

from __future__ import annotations

import dataclasses
import json
import os
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.vtc.report.junit_form import deviations
from tests.vtc.running import run_script

from holdfast.vtc.report.explain import explain
from holdfast.vtc.report.files import as_json, junit, tap
from holdfast.vtc.report.terminal import flakes
from holdfast.vtc.report.timeline import Kind, as_html, as_text, events
from holdfast.vtc.run.results import Result

PASSES = """
server s1 {
    rxreq
    txresp -body "<&> hello"
} -start
client c1 -connect ${s1_sock} {
    txreq
    rxresp
    expect resp.status == 200
} -run
"""
FAILS = PASSES.replace("== 200", "== 404")
SKIPS = "feature cmd false\n"
HANGS = "delay 60\n"


@pytest.fixture(scope="module")
def results() -> list[Result]:
    """One result of each kind."""
    return [
        run_script(PASSES),
        run_script(FAILS),
        run_script(SKIPS),
        run_script(HANGS, seconds_max=0.1),
    ]


def test_a_failed_comparison_is_explained(results: list[Result]) -> None:
    lines = explain(results[1]).splitlines()
    assert lines[:5] == [
        'test.vtc:9:12: c1: EXPECT resp.status (200) == "404" failed',
        "        expect resp.status == 404",
        "               ^",
        "  sides:",
        "    left:  200",
    ]
    assert lines[5] == "    right: 404"
    assert "  received:" in lines
    assert "    HTTP/1.1 200 OK" in lines


def test_the_last_words_of_a_process_are_shown() -> None:
    result = run_script("""
        process p1 {
            for n in 1 2 3 4 5 6 7 8 9 10 11; do echo "line $n"; done
            exec sleep 60
        } -log -start -expect-text 0 0 "line 11"
        shell {exit 1}
    """)
    lines = explain(result).splitlines()
    begin = lines.index("  p1, last words:")
    assert lines[begin + 1 : begin + 11] == [f"    line {n}" for n in range(2, 12)]


def test_a_success_needs_no_explanation(results: list[Result]) -> None:
    assert explain(results[0]) == ""
    assert explain(results[2]) == "skipped: lacking feature: cmd\n"


def test_junit_has_the_form_that_build_servers_read(results: list[Result]) -> None:
    root = ElementTree.fromstring(junit(results, 1.5))
    assert deviations(root) == []
    (suite,) = root
    counts = {name: suite.get(name) for name in ("tests", "failures", "errors", "skipped", "time")}
    assert counts == {
        "tests": "4", "failures": "2", "errors": "0", "skipped": "1", "time": "1.500",
    }  # fmt: skip
    assert [[child.tag for child in case] for case in suite] == [
        [], ["failure", "system-out"], ["skipped"], ["failure", "system-out"],
    ]  # fmt: skip
    failure = suite[1][0]
    assert failure.get("type") == "failure"
    assert failure.get("message") == results[1].reason
    assert failure.text == explain(results[1])
    assert suite[3][0].get("type") == "timeout"


@given(st.data())
def test_junit_keeps_its_form_whatever_was_said(results: list[Result], data: st.DataObject) -> None:
    """Names of files, reasons and times are not ours to choose."""
    told = [
        dataclasses.replace(
            result,
            script=dataclasses.replace(result.script, name=data.draw(PATHS)),
            reason=data.draw(st.text()),
            seconds=data.draw(st.floats(0, 1e9)),
        )
        for result in data.draw(st.lists(st.sampled_from(results), max_size=5))
    ]
    root = ElementTree.fromstring(junit(told, data.draw(st.floats(0, 1e9))))
    assert deviations(root) == []
    for case, result in zip(root[0], told, strict=True):
        assert case.get("name") == printable(os.path.basename(result.script.name))
        for verdict in case.findall("failure") + case.findall("skipped"):
            assert verdict.get("message") == printable(result.reason)


PATHS = st.lists(st.text(st.characters(exclude_characters="/"), min_size=1), min_size=1).map(
    "/".join
)


def printable(text: str) -> str:
    """What XML 1.0 cannot hold (section 2.2, `Char`), in hexadecimal."""
    return "".join(
        char
        if char in "\t\n\r"
        or (char >= " " and char not in "\ufffe\uffff" and not "\ud800" <= char <= "\udfff")
        else f"\\x{ord(char):02x}"
        for char in text
    )


SUITE = '<testsuite name="s" tests="{tests}" failures="0" errors="0" time="1">{cases}</testsuite>'
CASE = '<testcase name="t" classname="c" time="{time}">{verdict}</testcase>'
DEVIATIONS = {
    # what is wrong → the report
    "the root is a testcase": CASE.format(time=0, verdict=""),
    "testsuite: tests is '2'; there are 1": SUITE.format(
        tests=2, cases=CASE.format(time=0, verdict="")
    ),
    "testsuite: failures is '0'; there are 1": SUITE.format(
        tests=1, cases=CASE.format(time=0, verdict="<failure/>")
    ),
    "testcase: time is '-1'": SUITE.format(tests=1, cases=CASE.format(time=-1, verdict="")),
    "testcase: time is '1,5'": SUITE.format(tests=1, cases=CASE.format(time="1,5", verdict="")),
    "testcase: it holds ['system-out', 'skipped']": SUITE.format(
        tests=1, cases=CASE.format(time=0, verdict="<system-out/><skipped/>")
    ),
    "testcase: it holds text: 'said'": SUITE.format(
        tests=1, cases=CASE.format(time=0, verdict="said")
    ),
    "testcase: classname is missing": SUITE.format(tests=1, cases='<testcase name="t" time="0"/>'),
    "testcase: name is ''": SUITE.format(
        tests=1, cases='<testcase name="" classname="c" time="0"/>'
    ),
    "testcase: seconds is no attribute of it": SUITE.format(
        tests=1, cases='<testcase name="t" classname="c" time="0" seconds="0"/>'
    ),
    "test: no such element": SUITE.format(tests=0, cases="<test/>"),
}


@pytest.mark.parametrize(("fault", "report"), DEVIATIONS.items(), ids=DEVIATIONS)
def test_what_is_no_junit_is_known(fault: str, report: str) -> None:
    assert fault in deviations(ElementTree.fromstring(report))


def test_junit_holds_any_bytes() -> None:
    result = run_script('shell -expect "\\x01\\x7f\\xff<]]>" {printf "\\000\\033[0m\\377"}')
    root = ElementTree.fromstring(junit([result], 0))
    message = root[0][0][0].get("message") or ""
    assert "\\x01" in message
    assert "<]]>" in message


def test_tap_has_a_line_for_each_test(results: list[Result]) -> None:
    lines = tap(results).splitlines()
    assert lines[:4] == ["TAP version 13", "1..4", "ok 1 - test.vtc", "not ok 2 - test.vtc"]
    assert "ok 3 - test.vtc # SKIP lacking feature: cmd" in lines
    begin, end = lines.index("  ---"), lines.index("  ...")
    assert lines[begin + 1] == "  message: |"
    assert f"    {explain(results[1]).splitlines()[0]}" in lines[begin:end]


def test_json_says_all(results: list[Result]) -> None:
    report = json.loads(as_json(results, 1.5))
    counts = {name: report[name] for name in ("seconds", "passed", "failed", "skipped")}
    assert counts == {"seconds": 1.5, "passed": 1, "failed": 2, "skipped": 1}
    passed, failed, skipped, hung = report["tests"]
    assert passed["checks"] == ["9:5"]
    assert passed["position"] is None
    assert failed["position"] == {"file": "test.vtc", "line": 9, "column": 12}
    assert failed["actor"] == "c1"
    assert failed["notes"]["sides"].startswith("left:")
    assert skipped["reason"] == "lacking feature: cmd"
    assert hung["timed_out"]
    assert [test["outcome"] for test in report["tests"]] == [
        "passed", "failed", "skipped", "failed",
    ]  # fmt: skip


def test_a_timeline_tells_who_said_what_to_whom(results: list[Result]) -> None:
    told = [
        (e.actor, e.kind, e.peer, e.text.partition(" (")[0]) for e in events(results[1].log.entries)
    ]
    assert told == [
        ("c1", Kind.SENT, "s1", "GET / HTTP/1.1"),
        ("s1", Kind.RECEIVED, told[1][2], "GET / HTTP/1.1"),
        ("s1", Kind.SENT, told[1][2], "HTTP/1.1 200 OK"),
        ("c1", Kind.RECEIVED, "s1", "HTTP/1.1 200 OK"),
        ("c1", Kind.RECEIVED, "s1", "<&> hello"),
        ("c1", Kind.FAILED, "", "EXPECT resp.status"),
    ]
    assert told[1][2].startswith("127.0.0.1:")
    text = as_text(results[0])
    assert text.startswith("test.vtc: passed (")
    assert "c1 → s1" in text
    assert "c1 ✓" in text


def test_a_page_has_a_lane_per_actor(results: list[Result]) -> None:
    page = as_html(results)
    table = page[page.index("<table>") : page.index("</table>") + len("</table>")]
    root = ElementTree.fromstring(table)
    assert [cell.text for cell in root.iter("th")] == ["s", "c1", "s1"]
    assert "&lt;&amp;&gt; hello" in table


def test_flaky_tests_are_named(results: list[Result]) -> None:
    assert flakes(results[:1] * 3) == []
    assert flakes(results[1:2] * 3) == []
    assert flakes([results[0], results[1], results[0], results[1]]) == [
        "flaky: test.vtc failed 2 of 4 times",
        f"    2 times: {results[1].reason}",
    ]


def test_the_reasons_of_a_flaky_test_are_counted(results: list[Result]) -> None:
    other = dataclasses.replace(results[1], reason="another")
    assert flakes([results[0], results[1], other, results[1]]) == [
        "flaky: test.vtc failed 3 of 4 times",
        f"    2 times: {results[1].reason}",
        "    1 times: another",
    ]
