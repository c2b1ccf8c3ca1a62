"""`holdfast check`."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from tests.gateway.certificates import certificate
from typer.testing import CliRunner

from holdfast.cli.main import app
from holdfast.link import tracing

RIGHT = '[[listener]]\nurl = "tcp://127.0.0.1:4001"\nbackend = "echo"\ndurability = "memory"\n'


def check(path: Path) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["check", str(path)])
    return result.exit_code, result.stdout, result.stderr


@pytest.mark.parametrize(
    ("count", "words"), [(1, "1 listener"), (2, "2 listeners")], ids=["one", "two"]
)
def test_a_right_configuration(tmp_path: Path, count: int, words: str) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text("".join(RIGHT.replace("4001", str(4001 + n)) for n in range(count)))
    assert check(path) == (0, f"{path}: right, with {words}\n", "")


def test_the_file_is_called_holdfast_toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = CliRunner().invoke(app, ["check"])
    assert result.exit_code == 2
    assert result.stderr.startswith("holdfast: holdfast.toml: expected a TOML file, found none; ")
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
        f"holdfast: {path}: [[listener]] 1: certificate: {tmp_path / 'missing.pem'}: expected a PEM"
        " file, found none\n",
    )
    path.write_text(text.format(pair.cert, pair.cert))
    code, _, error = check(path)
    assert code == 2
    where = f"holdfast: {path}: [[listener]] 1: certificate: "
    assert error.startswith(f"{where}{pair.cert} and {pair.cert}: expected a certificate chain")


def errors(path: Path, text: str, *options: str) -> list[str]:
    """What is said to be wrong."""
    path.write_text(text)
    result = CliRunner().invoke(app, ["check", str(path), *options])
    assert (result.exit_code, result.stdout) == (2, "")
    return [line.removeprefix(f"holdfast: {path}: ") for line in result.stderr.splitlines()]


WRONG = """
node = 3
nod = "a"
[store]
pth = "x"
[limits.session]
queue_messages_max = "many"
[[listener]]
url = "tcp://127.0.0.1:4001"
backend = "echo"
durabilty = "memory"
durability = "memory"
[[listener]]
backend = "echo"
wrap = 7
[[listener]]
url = "ws://127.0.0.1:4002/"
backend = "ehco"
durability = "memory"
[[listener]]
url = "tcp://127.0.0.1:4003"
backend = "echo"
durability = "memory"
pages = "site"
wrap = true
[admin]
listen = "telnet://127.0.0.1:9"
"""


def test_everything_that_is_wrong_is_told_at_once(tmp_path: Path) -> None:
    found = errors(tmp_path / "holdfast.toml", WRONG)
    assert sorted(found) == sorted(
        [
            "node: expected a string, found the integer 3",
            "nod: not a known key; did you mean 'node'?",
            "store.pth: not a known key; did you mean 'path'?",
            "limits.session.queue_messages_max: expected an integer, found the string 'many'",
            "[[listener]] 1: durabilty: not a known key; did you mean 'durability'?",
            "[[listener]] 2: url: expected a value, found none",
            "[[listener]] 2: wrap: expected a boolean, found the integer 7",
            "[[listener]] 3: backend: expected 'echo', 'http', 'link', 'pty', 'ssh', 'stream' or"
            " 'tcp', found 'ehco'",
            "[[listener]] 4: wrap: expected only for telnet and telnets, found for tcp",
            "[[listener]] 4: pages: expected only for ws and wss, found for tcp",
            "admin.listen: expected a tcp://, tls:// or unix: address, found"
            " 'telnet://127.0.0.1:9'",
        ]
    )


def test_what_a_start_would_find_is_told_before(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    echo = '[[listener]]\nurl = "{}"\nbackend = "echo"\ndurability = "memory"\n'
    text = "".join(
        echo.format(url)
        for url in (
            "tcp://127.0.0.1:4001",
            "telnet://0.0.0.0:4001",
            "tcp://127.0.0.2:4001",
            f"unix:{tmp_path / 'file' / 'socket'}",
            "tcp://nobody.invalid:4004",
            "tcp://127.0.0.1:0",
            "tcp://127.0.0.1:0",
        )
    )
    text += f'[store]\npath = "{tmp_path}"\n'
    text += '[[upstream]]\nname = "u"\nservers = ["tcp://127.0.0.1:1", "tcp://nowhere.invalid:1"]\n'
    expected = [
        "[[listener]] 2: url: expected another address than url of [[listener]] 1, found"
        " telnet://0.0.0.0:4001",
        "[[listener]] 3: url: expected another address than url of [[listener]] 2, found"
        " tcp://127.0.0.2:4001",
        f"[[listener]] 4: url: expected a folder at '{tmp_path / 'file'}', found a file",
        f"store.path: expected a file, found the folder '{tmp_path}'",
    ]
    path = tmp_path / "holdfast.toml"
    assert errors(path, text, "--offline") == expected
    found = errors(path, text)
    assert found[:4] == expected
    assert [line.partition(": expected")[0] for line in found[4:]] == [
        "[[listener]] 5: url",
        "[[upstream]] 1: servers[1]",
    ]
    assert all("expected a name that can be resolved" in line for line in found[4:])


NEEDS: dict[str, tuple[str, str]] = {
    "opentelemetry": (f"traces = true\n{RIGHT}", "traces: expected opentelemetry to be installed"),
    "asyncssh": (
        '[[listener]]\nurl = "ws://127.0.0.1:0/"\nbackend = "ssh"\n'
        '[[listener.ssh.target]]\nname = "a"\nhost = "b"\n',
        "[[listener]] 1: backend: expected asyncssh to be installed (holdfast[ssh])",
    ),
    "jwt": (
        f'{RIGHT}[listener.auth]\nalgorithms = ["HS256"]\nkeys_file = "jwt.key"\n',
        "listener.auth: expected jwt to be installed (holdfast[jwt])",
    ),
}


@pytest.mark.parametrize("package", NEEDS)
def test_a_package_that_is_not_installed(
    package: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text, expected = NEEDS[package]
    monkeypatch.setitem(sys.modules, package, None)
    monkeypatch.setattr(tracing, "api", tracing.api.__wrapped__)  # it looks once a process
    found = errors(tmp_path / "holdfast.toml", text, "--offline")
    assert any(line.startswith(expected) for line in found), found


def test_an_upstream_without_a_listener_is_a_warning(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    path.write_text(RIGHT + '[[upstream]]\nname = "mud"\nservers = ["telnet://127.0.0.1:1"]\n')
    assert check(path) == (
        0,
        f"{path}: right, with 1 listener\n",
        f"holdfast: {path}: warning: [[upstream]] 1: name: no listener uses 'mud'\n",
    )


def test_what_cannot_be_taken_apart_is_told_alone(tmp_path: Path) -> None:
    path = tmp_path / "holdfast.toml"
    (line,) = errors(path, "listener = [")
    assert line.startswith("not TOML: ")
    assert errors(path, "listener = 3\n") == [
        "listener: expected an array, found the integer 3",
    ]
    assert errors(path, "") == ["listener: expected a value, found none"]


OTHERS = {
    "admin.certificate": (
        '[admin]\nlisten = "tls://127.0.0.1:1"\ncertificate = {{ cert = "{0}", key = "{0}" }}\n'
    ),
    "[[upstream]] 1: ca": (
        '[[upstream]]\nname = "u"\nservers = ["tls://127.0.0.1:1"]\nca = "{0}"\n'
    ),
}


@pytest.mark.parametrize(("key", "more"), OTHERS.items(), ids=OTHERS)
def test_all_certificates_are_looked_at(tmp_path: Path, key: str, more: str) -> None:
    path = tmp_path / "holdfast.toml"
    missing = tmp_path / "missing.pem"
    path.write_text(RIGHT + more.format(missing))
    code, _, error = check(path)
    assert code == 2
    assert error.startswith(f"holdfast: {path}: {key}: {missing}: expected ")
    assert "PEM" in error
