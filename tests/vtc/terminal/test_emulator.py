import pytest
from hypothesis import given
from hypothesis import strategies as st

from holdfast.vtc.terminal.emulator import Emulator
from holdfast.vtc.terminal.screen import Screen


def shown(data: bytes, rows: int = 5, columns: int = 10) -> tuple[list[str], tuple[int, int]]:
    """The lines without blanks at their ends, and the cursor, counted from 1."""
    terminal = Emulator(rows, columns)
    terminal.feed(data)
    screen = terminal.screen
    lines = [screen.text(row).rstrip() for row in range(rows)]
    while lines and not lines[-1]:
        lines.pop()
    return lines, (screen.cursor.row + 1, screen.cursor.column + 1)


@pytest.mark.parametrize(
    ("data", "lines", "cursor"),
    [
        pytest.param(b"ab", ["ab"], (1, 3), id="text"),
        pytest.param(b"ab\r\ncd", ["ab", "cd"], (2, 3), id="CR LF"),
        pytest.param(b"ab\ncd", ["ab", "  cd"], (2, 5), id="LF keeps the column"),
        pytest.param(b"ab\x08X", ["aX"], (1, 3), id="BS"),
        pytest.param(b"a\tb", ["a       b"], (1, 10), id="HT"),
        pytest.param(b"0123456789", ["0123456789"], (1, 10), id="the last column waits"),
        pytest.param(b"0123456789X", ["0123456789", "X"], (2, 2), id="and then wraps"),
        pytest.param(b"\x1b[?7l0123456789X", ["012345678X"], (1, 10), id="DECAWM off"),
        pytest.param(b"1\r\n2\r\n3\r\n4\r\n5\r\n6", list("23456"), (5, 2), id="scrolling"),
        pytest.param(b"\x1b[2;3HX", ["", "  X"], (2, 4), id="CUP"),
        pytest.param(b"\x1b[99;99HX", ["", "", "", "", " " * 9 + "X"], (5, 10), id="CUP clamped"),
        pytest.param(b"\x1b[;2HX", [" X"], (1, 3), id="CUP with an empty number"),
        pytest.param(b"\x1b[2B\x1b[3CX\x1b[A\x1b[2DY", ["", "  Y", "   X"], (2, 4), id="CUx"),
        pytest.param(b"\x1b[3d\x1b[4GX", ["", "", "   X"], (3, 5), id="VPA and HPA"),
        pytest.param(b"ab\x1b[2EX\x1b[FY", ["ab", "Y", "X"], (2, 2), id="CNL and CPL"),
        pytest.param(b"abc\x1b[1;2H\x1b[K", ["a"], (1, 2), id="EL 0"),
        pytest.param(b"abc\x1b[1;2H\x1b[1K", ["  c"], (1, 2), id="EL 1"),
        pytest.param(b"abc\x1b[1;2H\x1b[2K", [], (1, 2), id="EL 2"),
        pytest.param(b"a\r\nb\r\nc\x1b[2;1H\x1b[J", ["a"], (2, 1), id="ED 0"),
        pytest.param(b"a\r\nb\r\nc\x1b[2;1H\x1b[1J", ["", "", "c"], (2, 1), id="ED 1"),
        pytest.param(b"a\r\nb\x1b[2J", [], (2, 2), id="ED 2"),
        pytest.param(b"abcd\x1b[1;2H\x1b[2@", ["a  bcd"], (1, 2), id="ICH"),
        pytest.param(b"abcd\x1b[1;2H\x1b[2P", ["ad"], (1, 2), id="DCH"),
        pytest.param(b"abcd\x1b[1;2H\x1b[2X", ["a  d"], (1, 2), id="ECH"),
        pytest.param(b"a\r\nb\r\nc\x1b[2;1H\x1b[L", ["a", "", "b", "c"], (2, 1), id="IL"),
        pytest.param(b"a\r\nb\r\nc\x1b[2;1H\x1b[M", ["a", "c"], (2, 1), id="DL"),
        pytest.param(b"a\r\nb\x1b[1;1H\x1b[L", ["", "a", "b"], (1, 1), id="IL at the top"),
        pytest.param(b"a\r\nb\x1b[1;1H\x1b[M", ["b"], (1, 1), id="DL at the top"),
        pytest.param(
            b"1\r\n2\r\n3\x1b[1;2r\x1b[2;1H\x1b[L", ["1", "", "3"], (2, 1), id="IL at the end"
        ),
        pytest.param(
            b"1\r\n2\r\n3\x1b[1;2r\x1b[3;1H\x1b[L", ["1", "2", "3"], (3, 1), id="IL below"
        ),
        pytest.param(b"abc\x1b[1;1H\x1b[4hX\x1b[4lY", ["XYbc"], (1, 3), id="IRM"),
        pytest.param(b"a\r\nb\x1b[S", ["b"], (2, 2), id="SU"),
        pytest.param(b"a\x1b[2T", ["", "", "a"], (1, 2), id="SD"),
        pytest.param(b"ab\x1b[3b", ["abbbb"], (1, 6), id="REP"),
        pytest.param(b"ab\x1b[b\x1b[3b", ["abb"], (1, 4), id="REP repeats what was printed"),
        pytest.param(b"\x1b7\x1b[3;3H\x1b8X", ["X"], (1, 2), id="DECSC and DECRC"),
        pytest.param(b"a\x1bDb\x1bEc\x1bMd", ["a", " d", "c"], (2, 3), id="IND, NEL, RI"),
        pytest.param(b"a\x1bMb", [" b", "a"], (1, 3), id="RI at the top scrolls down"),
        pytest.param(b"\x1b[1;4H\x1bH\r\tX\x1b[3g\r\tY", ["   X     Y"], (1, 10), id="tab stops"),
        pytest.param(b"\x1b[9CX\x1b[ZY", ["        YX"], (1, 10), id="CBT"),
        pytest.param(b"\x1b#8", ["E" * 10] * 5, (1, 1), id="DECALN"),
        pytest.param(b"ab\x1bc", [], (1, 1), id="RIS"),
        pytest.param(b"\x1b(0q\x1b(B#\x1b(A#", ["?#?"], (1, 4), id="character sets"),
        pytest.param(b"\x1b)0a\x0ea\x0fa", ["a?a"], (1, 4), id="SO and SI"),
        pytest.param("aäb".encode(), ["a?b"], (1, 4), id="UTF-8"),
        pytest.param("a世b".encode(), ["a??b"], (1, 5), id="a wide character"),
        pytest.param("ae\u0301b".encode(), ["aeb"], (1, 4), id="a combining character"),
        pytest.param(b"\x1b]0;title\x07ab\x1bPxx\x1b\\c", ["abc"], (1, 4), id="strings"),
        pytest.param(b"\x1b[1;31mred\x1b[0m", ["red"], (1, 4), id="SGR"),
        pytest.param(b"\x1b[2\r;3HX", ["", "  X"], (2, 4), id="a control within a sequence"),
        pytest.param(b"\x1b[5\x1b[2CX", ["  X"], (1, 4), id="ESC begins anew"),
        pytest.param(b"\x1b[=1T\x08X", ["X"], (1, 2), id="console mode"),
        pytest.param(b"a\x1b[=1T\x0cX", ["X"], (1, 2), id="a new page on the console"),
        pytest.param(
            b"\x1b[2;3r\x1b[2;1Ha\r\nb\r\nc", ["", "b", "c"], (3, 2), id="a scrolling region"
        ),
        pytest.param(b"\x1b[3b", [], (1, 1), id="REP repeats nothing"),
        pytest.param(
            b"\x1b[=1T\x1b[2;1H\x08X", [" " * 9 + "X"], (2, 1), id="BS on the console goes up"
        ),
        pytest.param(b"\x1b[=1T\x08X", ["X"], (1, 2), id="BS on the console stays at the top"),
        pytest.param(b"\x1b(0\x1b7\x1b(B\x1b8q", ["?"], (1, 2), id="DECRC brings the set back"),
        pytest.param(b"\x1b7\x1b(0\x1b8q", ["q"], (1, 2), id="DECRC brings ASCII back"),
        pytest.param(
            b"\x1b[2;9r\x1b[5;1Ha\r\nb", ["", "", "", "a", "b"], (5, 2), id="margins beyond the end"
        ),
        pytest.param(
            b"\x1b[2r\x1b[5;1Ha\r\nb", ["", "", "", "a", "b"], (5, 2), id="a margin to the end"
        ),
        pytest.param(
            b"1\x1b[3;2r\x1b[5;1Ha\r\nb", ["", "", "", "a", "b"], (5, 2), id="margins that cross"
        ),
        pytest.param(
            b"\x1b[1;2r\x1b[5;10HXY", ["", "", "", "", " " * 9 + "Y"], (5, 10), id="the last line"
        ),
        pytest.param(b"\x1b[99A\x1b[99DX", ["X"], (1, 2), id="CUU and CUB clamped"),
        pytest.param(
            b"\x1b[99B\x1b[99CX", ["", "", "", "", " " * 9 + "X"], (5, 10), id="CUD and CUF clamped"
        ),
        pytest.param(b"abcdefghij\x1b[1;9H\x1b[9@", ["abcdefgh"], (1, 9), id="ICH to the edge"),
        pytest.param(b"abcdefghij\x1b[1;9H\x1b[9P", ["abcdefgh"], (1, 9), id="DCH to the edge"),
        pytest.param(b"abcdefghij\x1b[1;9H\x1b[9X", ["abcdefgh"], (1, 9), id="ECH to the edge"),
        pytest.param(b"1\r\n2\r\n3\x1b[9S", [], (3, 2), id="SU by more than all"),
        pytest.param(
            b"\x1b[4habcdefghij\x1b[1;10HX", ["abcdefghiX"], (1, 10), id="IRM at the edge"
        ),
        pytest.param(b"ab\x1b[?7l\x1b[?7h12345678X", ["ab12345678", "X"], (2, 2), id="DECAWM on"),
        pytest.param(b"\x1b[2;3r\x1b[?6hX\x1b[9;1HY", ["", "X", "Y"], (3, 2), id="DECOM"),
    ],
)
def test_what_a_program_writes_is_shown(
    data: bytes, lines: list[str], cursor: tuple[int, int]
) -> None:
    assert shown(data) == (lines, cursor)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        (b"\x1b[c", b"\x1b[?1;2c"),
        (b"\x1b[>c", b"\x1b[>0;10;0c"),
        (b"\x1b[5n", b"\x1b[0n"),
        (b"ab\x1b[6n", b"\x1b[1;3R"),
        (b"\x1b[?15n", b"\x1b[?13n"),
        (b"\x1b[99n", b""),
    ],
)
def test_the_terminal_answers(question: bytes, answer: bytes) -> None:
    said: list[bytes] = []
    Emulator(5, 10, said.append).feed(question)
    assert b"".join(said) == answer


def test_132_columns_and_back() -> None:
    terminal = Emulator(24, 80)
    terminal.feed(b"text\x1b[?3h")
    assert terminal.screen.columns == 132
    assert terminal.screen.text(0).strip() == ""
    terminal.feed(b"\x1b[?3l")
    assert terminal.screen.columns == 80


def test_a_smaller_screen_keeps_what_fits() -> None:
    screen = Screen(3, 6)
    for code in b"abcdef":
        screen.put(code, 1)
    screen.resize(2, 4)
    assert [screen.text(row) for row in range(2)] == ["abcd", "    "]


@given(st.lists(st.binary(max_size=30), max_size=8))
def test_any_bytes_leave_a_whole_screen(parts: list[bytes]) -> None:
    terminal = Emulator(5, 10)
    for part in parts:
        terminal.feed(part)
    screen = terminal.screen
    assert len(screen.cells) == screen.rows
    assert all(len(line) == screen.columns for line in screen.cells)
    assert 0 <= screen.cursor.row < screen.rows
    assert 0 <= screen.cursor.column < screen.columns
    assert 0 <= screen.top < screen.bottom <= screen.rows


SEQUENCE = st.builds(
    lambda prefix, numbers, final: f"\x1b[{prefix}{';'.join(map(str, numbers))}{final}".encode(),
    st.sampled_from(["", "?", ">", "="]),
    st.lists(st.integers(0, 300), max_size=9),
    st.sampled_from("@ABCDEFGHIJKLMPSTXZabcdefghlmnrsu`x"),
)


@given(st.lists(st.one_of(SEQUENCE, st.sampled_from([b"text\n", b"\x1bM", b"\x1bD"])), max_size=20))
def test_any_sequences_leave_a_whole_screen(parts: list[bytes]) -> None:
    test_any_bytes_leave_a_whole_screen.hypothesis.inner_test(parts)  # type: ignore[attr-defined]


@given(st.binary(max_size=60), st.integers(0, 60))
def test_how_output_is_cut_does_not_matter(data: bytes, cut: int) -> None:
    whole, parts = Emulator(5, 10), Emulator(5, 10)
    whole.feed(data)
    parts.feed(data[:cut])
    parts.feed(data[cut:])
    assert whole.screen.cells == parts.screen.cells
    assert whole.screen.cursor == parts.screen.cursor
