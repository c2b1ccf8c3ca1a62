"""Cookies as browsers send them: one that is odd hides no other."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.protocols.cookies import is_cookie_name, read_cookies

ODD = [
    "theme=dark",
    'prefs={"lang":"en"}',
    "list[]=1",
    "name=J\u00f6rg",
    "flag",
    "my cookie=1",
    "path=/x",
    'q="open',
    "=noname",
    "expires=Mon, 30 Nov 2026 00:00:00 GMT",
    "secure",
    "",
    "a==b",
    "holdfast2=x",
    "xholdfast=x",
]


@pytest.mark.parametrize("odd", ODD)
@pytest.mark.parametrize("form", ["{};holdfast=tok", "{}; holdfast=tok", "holdfast=tok; {}"])
def test_an_odd_cookie_hides_no_other(odd: str, form: str) -> None:
    assert read_cookies([form.format(odd)], "holdfast", 16) == ["tok"]


VALUES: dict[str, tuple[list[str], list[str]]] = {
    "none": ([], []),
    "no-pair": (["holdfast"], []),
    "empty": (["holdfast="], [""]),
    "quoted": (['holdfast="tok"'], ["tok"]),
    "one-quote": (['holdfast="'], ['"']),
    "two-quotes": (['holdfast=""'], [""]),
    "other-white-space": (["holdfast=\x0btok\x0c"], ["\x0btok\x0c"]),
    "other-white-space-in-the-name": (["\x0bholdfast=tok"], []),
    "with-an-equals-sign": (["holdfast=dG9r=="], ["dG9r=="]),
    "several-in-order": (["holdfast=a; x=y; holdfast=b", "holdfast=c"], ["a", "b", "c"]),
    "in-a-later-header": (["x=y", "holdfast=a"], ["a"]),
    "white-space": (["  holdfast\t=\t tok \t"], ["tok"]),
    "another-case-is-another-cookie": (["Holdfast=tok"], []),
}


@pytest.mark.parametrize(("headers", "values"), VALUES.values(), ids=VALUES)
def test_every_well_formed_pair_of_the_name_is_read(headers: list[str], values: list[str]) -> None:
    assert read_cookies(headers, "holdfast", 16) == values


def test_so_many_of_one_name_are_read() -> None:
    header = "; ".join(f"holdfast={number}" for number in range(1000))
    assert read_cookies([header, header], "holdfast", 3) == ["0", "1", "2"]


@given(before=st.text(), after=st.text())
def test_nothing_beside_a_cookie_changes_it(before: str, after: str) -> None:
    assert "tok" in read_cookies([f"{before};holdfast=tok;{after}"], "holdfast", 16)


@pytest.mark.parametrize(
    "unit", ["a=b;", '"', "\\", ";", "=", " ", "a", "holdfast=x; ", '"\\"', "\t "], ids=repr
)
def test_a_header_is_read_in_linear_time(unit: str) -> None:
    """`http.cookies` takes quadratic time for some (CVE-2024-7592)."""
    header = unit * (1 << 20)
    begin = time.process_time()
    read_cookies([header], "holdfast", 16)
    assert time.process_time() - begin < 5.0  # quadratic time would be hours


@pytest.mark.parametrize(
    ("name", "right"),
    [("holdfast", True), ("__Host-holdfast", True), ("a.b%2Fc", True), ("", False)]
    + [(f"a{wrong}b", False) for wrong in ' \t;,="()<>@:\\/[]?{}\x7f\xe9'],
)
def test_a_name_is_a_token(name: str, right: bool) -> None:
    assert is_cookie_name(name) is right
