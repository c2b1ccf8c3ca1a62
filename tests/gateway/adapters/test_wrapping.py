"""Lines that are wrapped by how wide their characters are."""

from __future__ import annotations

from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.linear import check_linear
from tests.protocols.telnet.wire import properties

from holdfast.core.display_width import clusters
from holdfast.gateway.adapters.ansi import SEQUENCE
from holdfast.gateway.adapters.wrapping import wrap

RED, PLAIN = "\x1b[1;31m", "\x1b[0m"
ROWS: dict[str, tuple[str, str]] = {
    "short": ("look", "look"),
    "just fits": ("x" * 20, "x" * 20),
    "at a space": ("one two three four five six", "one two three four\nfive six"),
    "a long word": ("x" * 45, "x" * 20 + "\n" + "x" * 20 + "\n" + "x" * 5),
    "a long word behind a short": (f"a {'x' * 30}", f"a\n{'x' * 20}\n{'x' * 10}"),
    "several lines": ("one\n" + "x" * 21 + "\n\nend", "one\n" + "x" * 20 + "\nx\n\nend"),
    "indented": ("    " + "x" * 18, "    " + "x" * 16 + "\nxx"),
    "spaces between": ("x" * 19 + "   yyy", "x" * 19 + "\nyyy"),
    "wide": ("世" * 11, "世" * 10 + "\n世"),
    "wide by one": ("a" + "世" * 10, "a" + "世" * 9 + "\n世"),
    "emoji that are joined": ("👩\u200d💻" * 11, "👩\u200d💻" * 10 + "\n👩\u200d💻"),
    "marks": ("e\u0301" * 21, "e\u0301" * 20 + "\ne\u0301"),
    "colours take no room": (f"{RED}{'x' * 20}{PLAIN}", f"{RED}{'x' * 20}{PLAIN}"),
    "colours are not broken": (
        f"{'x' * 19}{RED}xy{PLAIN}z",
        f"{'x' * 19}{RED}x\ny{PLAIN}z",
    ),
    "nothing of the gateway": (f"{'x' * 20} *** Welcome", f"{'x' * 20}\n *** Welcome"),
    "nor in a word": (f"{'x' * 20}*** Hi", f"{'x' * 20}\n *** Hi"),
    "nor behind a colour": (f"{'x' * 20}{RED}*** Hi", f"{'x' * 20}{RED}\n *** Hi"),
    "the gateway's own": ("*** Welcome back, Ann, here.", "*** Welcome back,\nAnn, here."),
    "a colour at a break": (f"one two three four {RED}five", f"one two three four\n{RED}five"),
}


@pytest.mark.parametrize(("text", "wrapped"), ROWS.values(), ids=ROWS)
def test_wrapping(text: str, wrapped: str) -> None:
    assert wrap(text, 20) == wrapped


def test_a_width_that_is_unknown_or_absurd_wraps_nothing() -> None:
    for width in (0, 1, 19):
        assert wrap("x" * 100, width) == "x" * 100


TEXTS = st.lists(
    st.sampled_from(
        ["a", "bc", " ", "  ", "世", "👩\u200d💻", "e\u0301", RED, "\n", "🇨🇭", "\u0301"]
    ),
    max_size=80,
).map("".join)


@properties
@given(text=TEXTS, width=st.integers(20, 30))
def test_nothing_is_lost_and_nothing_too_wide(text: str, width: int) -> None:
    wrapped = wrap(text, width)
    assert "".join(wrapped.split()) == "".join(text.split())
    assert SEQUENCE.findall(wrapped) == SEQUENCE.findall(text)
    for line in wrapped.split("\n"):
        assert sum(taken for _, taken in clusters(SEQUENCE.sub("", line).rstrip(" "))) <= width


@pytest.mark.parametrize("piece", ["x", " ", "世 ", "\u0301", RED, f"a{RED} "], ids=ascii)
def test_it_takes_linear_time(piece: str) -> None:
    def work(size: int) -> float:
        text = piece * (size // 8 // len(piece))
        begin = process_time()
        wrap(text, 80)
        return process_time() - begin

    check_linear(work)
