import pytest

from holdfast.vtc.run import log as log_module
from holdfast.vtc.run.log import DUMP_BYTES_MAX, Log, LogEntry, Logger, render_diag


def lines(level: int, prefix: str, data: str | bytes) -> list[str]:
    log = Log()
    Logger(log, "c1").dump(level, prefix, data)
    return log.render().splitlines()[1:]


def test_a_line_has_a_lead_and_an_actor() -> None:
    assert [next(LogEntry(0.0, level, "c1", "", "text").lines()) for level in range(5)] == [
        "---- c1    text",
        "*    c1    text",
        "**   c1    text",
        "***  c1    text",
        "**** c1    text",
    ]
    assert next(LogEntry(0.0, 4, "longer", "", "text").lines()) == "**** longer text"


def test_the_clock_is_written_when_it_has_moved_by_a_millisecond() -> None:
    log = Log()
    log.entries += [
        LogEntry(0.0001, 1, "top", "", "a"),
        LogEntry(0.0002, 1, "top", "", "b"),
        LogEntry(1.2346, 1, "top", "", "c"),
    ]
    assert log.render().splitlines() == [
        "**** dT    0.000",
        "*    top   a",
        "*    top   b",
        "**** dT    1.235",
        "*    top   c",
    ]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        ("a\r\nb\r\n", ["x|a\\r", "x|b\\r"]),
        ("a\n\nb", ["x|a", "x|", "x|b"]),
        ('t\tq"b\\', ['x|t\\tq"b\\']),
        (b"\x00\x7f\xff", ["x|\\x00\\x7f\\xff"]),
        ("", []),
        (b"\x1f\x8b\x08", ["x|0x1f8b08"]),
    ],
)
def test_a_dump_shows_each_line_with_its_prefix(data: str | bytes, expected: list[str]) -> None:
    assert lines(4, "x", data) == [f"**** c1    {line}" for line in expected]


def test_a_long_dump_is_cut_and_says_so() -> None:
    found = lines(4, "x", "a" * (DUMP_BYTES_MAX + 5))
    assert len(found) == 2
    assert found[1] == "**** c1    x| [...] (5)"


def test_a_hexdump_has_sixteen_bytes_in_a_row() -> None:
    log = Log()
    Logger(log, "s1").hexdump(4, "sendhex", bytes(range(17)))
    assert log.render().splitlines()[1:] == [
        "**** s1    sendhex|  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f",
        "**** s1    sendhex|  10",
    ]


def test_what_was_written_past_the_log_is_shown_below_it() -> None:
    assert render_diag("") == ""
    assert render_diag('a\n"b"\n') == '*    diag  0.0 a\n*    diag  0.0 \\"b\\"\n'


def test_a_log_that_grows_without_end_loses_its_older_half(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(log_module, "LOG_BYTES_MAX", 10_000)
    log = Log()
    logger = Logger(log, "s1")
    for number in range(1000):
        logger.dump(3, "debug", f"line {number}")
        assert len(log.entries) * 150 <= 10_000 + 300
    shown = log.render()
    left_out = 1001 - len(log.entries)
    assert f"the log is too large: its first {left_out} entries are left out\n" in shown
    assert f"debug|line {left_out}\n" in shown
    assert f"debug|line {left_out - 1}\n" not in shown
    assert "debug|line 999\n" in shown


def test_a_log_may_have_so_many_bytes_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_module, "LOG_BYTES_MAX", 1_000)
    log = Log()
    for size in (350, 350):  # and 150 for each entry
        log.add(LogEntry(0.0, 1, "c1", "", "x" * size))
    assert len(log.entries) == 2
    log.add(LogEntry(0.0, 1, "c1", "", ""))
    assert "first 2 entries are left out" in log.render()
