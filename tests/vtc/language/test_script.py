from pathlib import Path

import pytest

from holdfast.vtc.language.script import ScriptError, parse_script, read_script, script_directory


@pytest.mark.parametrize(
    ("text", "title"),
    [
        ('vtest "a title"\n', "a title"),
        ("varnishtest word\n", "word"),
        ('# comment\n\n  vtest "x"\n', "x"),
        ("vtest\t{braces}\n", "{braces}"),
    ],
)
def test_a_script_begins_with_its_title(text: str, title: str) -> None:
    assert parse_script("f.vtc", text).title == title


@pytest.mark.parametrize(
    ("text", "message", "foreign"),
    [
        ("", 'File "f" has no content.', False),
        (" \n# only a comment", 'File "f" has no content.', False),
        ("notvtest x", "File \"f\" doesn't start with 'vtest' or 'varnishtest'", True),
        ("vtestx x", "File \"f\" doesn't start with 'vtest' or 'varnishtest'", True),
        ('vtest"x"', "File \"f\" doesn't start with 'vtest' or 'varnishtest'", True),
    ],
)
def test_what_is_no_script_is_refused(text: str, message: str, foreign: bool) -> None:
    with pytest.raises(ScriptError) as caught:
        parse_script("f", text)
    assert str(caught.value) == message
    assert caught.value.foreign is foreign


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ScriptError, match=r'Cannot stat file ".*/none": No such file or directory'):
        read_script(f"{tmp_path}/none")


@pytest.mark.parametrize(
    ("name", "directory"),
    [
        ("f.vtc", "/here"),
        ("a/f.vtc", "/here/a"),
        ("../f.vtc", "/here/.."),
        ("/a/b/f.vtc", "/a/b"),
        ("/f.vtc", "/"),
    ],
)
def test_the_directory_of_a_script_is_as_its_path_was_given(name: str, directory: str) -> None:
    assert script_directory(name, "/here") == directory
