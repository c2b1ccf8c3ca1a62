"""Reports for machines: JUnit, TAP and JSON."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from xml.etree import ElementTree

from holdfast.vtc.report.explain import explain
from holdfast.vtc.run.results import Outcome, Result

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""Characters that XML 1.0 cannot contain (section 2.2)."""


def _clean(text: str) -> str:
    return _NOT_XML.sub(lambda match: f"\\x{ord(match[0]):02x}", text)


def junit(results: Sequence[Result], seconds: float) -> str:
    """A JUnit report."""
    suite = ElementTree.Element(
        "testsuite",
        name="vtc",
        tests=str(len(results)),
        failures=str(sum(result.outcome is Outcome.FAILED for result in results)),
        errors="0",
        skipped=str(sum(result.outcome is Outcome.SKIPPED for result in results)),
        time=f"{seconds:.3f}",
    )
    for result in results:
        _add_case(suite, result)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def _add_case(suite: ElementTree.Element, result: Result) -> None:
    directory, name = os.path.split(result.script.name)
    case = ElementTree.SubElement(
        suite,
        "testcase",
        name=_clean(name),
        classname=_clean(directory.strip("./").replace("/", ".") or "vtc"),
        time=f"{result.seconds:.3f}",
    )
    if result.outcome is Outcome.SKIPPED:
        ElementTree.SubElement(case, "skipped", message=_clean(result.reason))
    elif result.outcome is Outcome.FAILED:
        kind = "timeout" if result.timed_out else "failure"
        message = _clean(result.reason)
        failure = ElementTree.SubElement(case, "failure", message=message, type=kind)
        failure.text = _clean(explain(result))
        output = ElementTree.SubElement(case, "system-out")
        output.text = _clean(result.text())


def tap(results: Sequence[Result]) -> str:
    """A TAP report, version 13."""
    lines = ["TAP version 13", f"1..{len(results)}"]
    for number, result in enumerate(results, 1):
        failed = result.outcome is Outcome.FAILED
        name = result.script.name.replace("#", r"\#")
        skip = f" # SKIP {result.reason}" if result.outcome is Outcome.SKIPPED else ""
        lines.append(f"{'not ok' if failed else 'ok'} {number} - {name}{skip}")
        if failed:
            lines += ["  ---", "  message: |"]
            lines += [f"    {line}" for line in explain(result).splitlines()]
            lines += [f"  seconds: {result.seconds:.3f}", "  ..."]
    return "\n".join(lines) + "\n"


def as_json(results: Sequence[Result], seconds: float) -> str:
    """A report with all that is known of each test but its log."""
    counts = {
        outcome.name.lower(): sum(result.outcome is outcome for result in results)
        for outcome in Outcome
    }
    report = {"seconds": round(seconds, 3), **counts, "tests": [_entry(one) for one in results]}
    return json.dumps(report, indent=1) + "\n"


def _entry(result: Result) -> dict[str, object]:
    failure = result.failure if result.outcome is Outcome.FAILED else None
    position = failure.position if failure else None
    return {
        "file": result.script.name,
        "title": result.script.title,
        "outcome": result.outcome.name.lower(),
        "seconds": round(result.seconds, 3),
        "reason": result.reason,
        "timed_out": result.timed_out,
        "actor": failure.actor if failure else None,
        "position": (
            {"file": position.file, "line": position.line, "column": position.column}
            if position
            else None
        ),
        "notes": {note.title: note.text for note in failure.notes} if failure else {},
        "checks": [f"{check.line}:{check.column}" for check in result.checks],
    }
