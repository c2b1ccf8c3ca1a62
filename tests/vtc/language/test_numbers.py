import pytest

from holdfast.vtc.language.numbers import decimal, integer, unhex, unsigned, whole


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12),
        ("  12abc", 12),
        ("0x1f", 31),
        ("0xC8", 200),
        ("017", 15),
        ("08", 0),
        ("abc", 0),
        ("", 0),
        ("<undef>", 0),
        ("+5", 5),
        ("-1", 2**64 - 1),
        ("12.9", 12),
    ],
)
def test_unsigned_reads_as_strtoul_does(text: str, value: int) -> None:
    assert unsigned(text) == value


@pytest.mark.parametrize(("text", "value"), [("12", 12), (" -3x", -3), ("x", 0), ("0x10", 0)])
def test_integer_reads_as_atoi_does(text: str, value: int) -> None:
    assert integer(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [("12", 12), ("0x10", 16), ("010", 8), ("12a", None), ("", None), ("-1", None)],
)
def test_whole_takes_the_whole_text(text: str, value: int | None) -> None:
    assert whole(text) == value


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("12", 12.0),
        (" 12 ", 12.0),
        ("-1.5", -1.5),
        (".25", 0.25),
        ("1.", 1.0),
        ("1.23456", 1.234),
        ("0.001", 0.001),
        ("", None),
        (".", None),
        ("1e5", None),
        ("0x10", None),
        ("+1", None),
        ("<undef>", None),
        ("1234567890123456", None),
    ],
)
def test_decimal_reads_as_varnish_does(text: str, value: float | None) -> None:
    assert decimal(text) == value


@pytest.mark.parametrize(
    ("text", "data"),
    [
        ("", b""),
        ("00ff", b"\x00\xff"),
        ("0 0\tf\nF", b"\x00\xff"),
        ("abc", b"\xab\xc0"),
        ("0g", None),
        ("0x00", None),
    ],
)
def test_unhex_ignores_white_space(text: str, data: bytes | None) -> None:
    assert unhex(text) == data
