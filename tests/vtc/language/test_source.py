from holdfast.vtc.language.source import Source, TextRun, Token, TokenBuilder


def test_a_position_names_file_line_and_column() -> None:
    source = Source("f.vtc", "one\n\ttwo\nthree")
    assert str(source.position(0)) == "f.vtc:1:1"
    assert str(source.position(5)) == "f.vtc:2:2"
    assert str(source.position(9)) == "f.vtc:3:1"
    assert source.position(9).text == "three"


def test_the_end_of_a_file_has_a_position() -> None:
    assert str(Source("f", "ab\n").position(3)) == "f:2:1"
    assert str(Source("f", "").position(0)) == "f:1:1"


def test_an_excerpt_puts_the_caret_below_the_column_and_keeps_tabs() -> None:
    position = Source("f", "\tab cd").position(4)
    assert position.excerpt() == ("\tab cd", "\t   ^")


def test_a_token_knows_where_its_characters_came_from() -> None:
    source = Source("f", "abc${x}def")
    builder = TokenBuilder(source)
    builder.literal("abc", 0)
    builder.replaced("LONG VALUE", 3)
    builder.literal("def", 7)
    token = builder.build(0)
    assert token == "abcLONG VALUEdef"
    assert [token.offset(index) for index in (0, 2, 3, 12, 13, 15)] == [0, 2, 3, 3, 7, 9]


def test_a_part_of_a_token_keeps_its_places() -> None:
    source = Source("f", "0123456789")
    token = Token(
        "012XY789", source, (TextRun(0, 0, True), TextRun(3, 3, False), TextRun(5, 7, True))
    )
    builder = TokenBuilder(source)
    builder.copy(token, 2, 7)
    part = builder.build(2)
    assert part == "2XY78"
    assert [part.offset(index) for index in range(5)] == [2, 3, 3, 7, 8]


def test_an_empty_token_stands_where_it_was_built() -> None:
    assert TokenBuilder(Source("f", "abc")).build(2).offset() == 2
