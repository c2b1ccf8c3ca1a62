"""`holdfast check`."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.gateway.certificates import certificate
from typer.testing import CliRunner

from holdfast.cli.main import app

RIGHT = '[[listener]]\nurl = "tcp://127.0.0.1:4001"\nbackend = "echo"\ndurability = "memory"\n'


def check(path: Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["check", str(path)])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1 listener"), (2, "2 listeners")], ids=["one", "two"]
)
def test_a_right_configuration(tmp_path: Path, count: int, words: str) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text(RIGHT * count)
    assert check(path) == (0, f"{path}: right, with {words}\n", "")


def test_the_file_is_called_holdfast_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 2
    assert result.stderr.startswith("holdfast: holdfast.toml: expected a TOML file: ")
    Path("holdfast.toml").write_text(RIGHT)
    assert CliRunner().invoke(app, ["check"]).exit_code == 0


def test_a_wrong_configuration_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text(RIGHT + "\n[store]\npath = 3\n")
    assert check(path) == (
        2,
        "",
        f"holdfast: {path}: store.path: expected a string, found the integer 3\n",
    )


def test_certificates_are_looked_at(tmp_path: Path) -> None:
    pair = certificate(tmp_path)
    path = tmp_path / "holdfast.toml"
    text = RIGHT.replace("tcp", "tls") + 'certificate = {{ cert = "{}", key = "{}" }}\n'
    path.write_text(text.format(pair.cert, pair.key))
    assert check(path)[0] == 0
    path.write_text(text.format(pair.cert, tmp_path / "missing.pem"))
    assert check(path) == (
        2,
        "",
        f"holdfast: {tmp_path / 'missing.pem'}: expected a PEM file, found none\n",
    )
    path.write_text(text.format(pair.cert, pair.cert))
    code, _, error = check(path)
    assert code == 2
    assert error.startswith(f"holdfast: {pair.cert} and {pair.cert}: expected a certificate chain")


OTHERS = {
    "admin": (
        '[admin]\nlisten = "tls://127.0.0.1:1"\ncertificate = {{ cert = "{0}", key = "{0}" }}\n'
    ),
    "upstream": '[[upstream]]\nname = "u"\nservers = ["tls://a:1"]\nca = "{0}"\n',
}


@pytest.mark.parametrize("more", OTHERS.values(), ids=OTHERS)
def test_all_certificates_are_looked_at(tmp_path: Path, more: str) -> None:
    path = tmp_path / "holdfast.toml"
    missing = tmp_path / "missing.pem"
    path.write_text(RIGHT + more.format(missing))
    code, _, error = check(path)
    assert code == 2
    assert error.startswith(f"holdfast: {missing}: expected ")
    assert "PEM" in error
