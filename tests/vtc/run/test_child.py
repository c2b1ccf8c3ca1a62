"""What a test's processes write is bounded, and its end is kept."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.vtc.running import run_script

from holdfast.vtc.run import child
from holdfast.vtc.run.child import OutputFile, OutputTail


def test_the_end_of_the_output_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "OUTPUT_BYTES_MAX", 10)
    tail = OutputTail()
    for number in range(20):
        tail.add(bytes([65 + number]))
    assert (bytes(tail), tail.lost) == (b"ABCDEFGHIJKLMNOPQRST", 0)
    tail.add(b"U")
    assert (bytes(tail), tail.lost) == (b"LMNOPQRSTU", 11)


def test_a_shell_that_writes_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(child, "OUTPUT_BYTES_MAX", 1000)
    result = run_script('shell -expect "the end" {yes | head -c 100000; echo the end}\n')
    assert result.failure is None
    assert "bytes are left out" in result.text()


def test_the_end_of_the_output_is_kept_in_its_file(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(child, "OUTPUT_FILE_BYTES_MAX", 10)
    path = tmp_path / "out"
    file = OutputFile(str(path))
    assert path.read_bytes() == b""
    for number in range(20):
        file.add(bytes([65 + number]))
    assert (path.read_bytes(), file.lost) == (b"ABCDEFGHIJKLMNOPQRST", 0)
    file.add(b"U")
    assert (path.read_bytes(), file.lost) == (b"LMNOPQRSTU", 11)
    file.add(b"V" * 100)
    assert (path.read_bytes(), file.lost) == (b"V" * 10, 111)
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(("stream", "macro"), [("1", "out"), ("2", "err")])
def test_a_process_that_writes_much(
    monkeypatch: pytest.MonkeyPatch, stream: str, macro: str
) -> None:
    monkeypatch.setattr(child, "OUTPUT_FILE_BYTES_MAX", 5_000)
    result = run_script(
        f"process p1 {{(yes | head -c 100000; echo the end) >&{stream}}} -run\n"
        f'shell -expect "the end" {{tail -c 100 ${{p1_{macro}}}}}\n'
        f"shell {{test $(wc -c <${{p1_{macro}}}) -le 10000}}\n"
    )
    assert result.failure is None
    assert "bytes are left out" in result.text()


def test_a_process_that_writes_one_line_without_end() -> None:
    result = run_script("process p1 -log {printf %0100000d 0; echo} -run\n")
    assert result.failure is None
    longest = max(len(entry.data) for entry in result.log.entries)
    assert longest <= 2 * 8192


@pytest.mark.parametrize(
    ("before", "reason"),
    [
        ("# -expectexit is only spoken of\n", "haproxy died"),
        ("", "haproxy died"),
    ],
)
def test_only_a_command_that_names_the_exit_status_waits_for_a_death(
    before: str, reason: str
) -> None:
    result = run_script(
        before
        + """
        feature ignore_unknown_macro
        haproxy h1 -conf {
            defaults
                mode http
                timeout client 5s
                timeout server 5s
                timeout connect 5s
            frontend f
                bind "fd@${front}"
        } -start
        shell {kill -KILL ${h1_pid}}
        delay 8
        """
    )
    assert reason in result.reason
