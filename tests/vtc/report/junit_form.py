"""What a JUnit report may look like, for those who read it: our own account of the format.

There is no standard. This is what Ant writes and what Jenkins, GitLab and their like check: the
elements, in their order, with their attributes, and counts that agree with what is counted.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple
from xml.etree.ElementTree import Element

_TEXT: Final = re.compile(r"[\s\S]*")
_NAME: Final = re.compile(r"[\s\S]+")
_COUNT: Final = re.compile(r"\d+")
_SECONDS: Final = re.compile(r"\d+(\.\d+)?")


class Form(NamedTuple):
    """One element."""

    required: dict[str, re.Pattern[str]]
    optional: dict[str, re.Pattern[str]]
    children: str
    """A pattern of the names of the children, each with a space behind it."""
    text: bool = False
    """Whether it may hold text of its own."""


_OUTPUTS: Final = "(system-out )?(system-err )?"
_VERDICT: Final = Form({}, {"message": _TEXT, "type": _TEXT}, "", text=True)
FORMS: Final = {
    "testsuites": Form(
        {},
        {"name": _NAME, "time": _SECONDS, **dict.fromkeys(("tests", "failures", "errors"), _COUNT)},
        "(testsuite )*",
    ),
    "testsuite": Form(
        {"name": _NAME, "tests": _COUNT, "failures": _COUNT, "errors": _COUNT, "time": _SECONDS},
        {"skipped": _COUNT, "disabled": _COUNT, "timestamp": _NAME, "hostname": _NAME},
        f"(properties )?(testcase )*{_OUTPUTS}",
    ),
    "testcase": Form(
        {"name": _NAME, "classname": _NAME, "time": _SECONDS},
        {"file": _NAME, "line": _COUNT, "assertions": _COUNT, "status": _TEXT},
        f"((skipped )|(error )|(failure ))?{_OUTPUTS}",
    ),
    "skipped": _VERDICT,
    "error": _VERDICT,
    "failure": _VERDICT,
    "system-out": Form({}, {}, "", text=True),
    "system-err": Form({}, {}, "", text=True),
    "properties": Form({}, {}, "(property )*"),
    "property": Form({"name": _NAME, "value": _TEXT}, {}, ""),
}
_COUNTED: Final = {"failures": "failure", "errors": "error", "skipped": "skipped"}


def deviations(root: Element) -> list[str]:
    """What of this report is not as it should be."""
    found = [] if root.tag in ("testsuites", "testsuite") else [f"the root is a {root.tag}"]
    for element in root.iter():
        found += (f"{element.tag}: {fault}" for fault in _faults(element))
    return found


def _faults(element: Element) -> Iterator[str]:
    form = FORMS.get(element.tag)
    if form is None:
        yield "no such element"
        return
    values = form.required | form.optional
    for name in form.required.keys() - element.keys():
        yield f"{name} is missing"
    for name, value in element.items():
        if name not in values:
            yield f"{name} is no attribute of it"
        elif not values[name].fullmatch(value):
            yield f"{name} is {value!r}"
    if not re.fullmatch(form.children, "".join(f"{child.tag} " for child in element)):
        yield f"it holds {[child.tag for child in element]}"
    outside = "".join([element.text or "", *(child.tail or "" for child in element)])
    if outside.strip() and not form.text:
        yield f"it holds text: {outside.strip()!r}"
    if element.tag == "testsuite":
        yield from _miscounted(element)


def _miscounted(suite: Element) -> Iterator[str]:
    cases = suite.findall("testcase")
    for attribute, tag in {"tests": "", **_COUNTED}.items():
        count = sum(not tag or case.find(tag) is not None for case in cases)
        if suite.get(attribute) not in (None, str(count)):
            yield f"{attribute} is {suite.get(attribute)!r}; there are {count}"
