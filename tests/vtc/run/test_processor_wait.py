"""A failure says how long the runner itself had to wait for a processor."""

from __future__ import annotations

import os

import pytest
from tests.vtc.running import run_script

from holdfast.vtc.run import processor_wait
from holdfast.vtc.run.processor_wait import ProcessorWait, TimeSample


@pytest.fixture
def wait() -> ProcessorWait:
    return ProcessorWait()


def test_the_kernel_s_count_is_read(wait: ProcessorWait) -> None:
    with open("/proc/self/schedstat") as file:
        before = int(file.read().split()[1]) / 1e9
    assert wait.now().waited >= before
    wait.close()
    wait.close()


@pytest.mark.parametrize(
    ("waited", "text"),
    [
        (0.0009, ""),
        (0.001, "this program waited 1 ms for a processor in the 250 ms of this command"),
        (0.2, "this program waited 200 ms for a processor in the 250 ms of this command"),
    ],
)
def test_a_wait_is_told_from_a_millisecond_on(
    wait: ProcessorWait, monkeypatch: pytest.MonkeyPatch, waited: float, text: str
) -> None:
    monkeypatch.setattr(wait, "now", lambda: TimeSample(10.25, 5 + waited))
    assert wait.since(TimeSample(10.0, 5.0)) == text


def test_a_kernel_without_the_count(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(processor_wait, "_PATH", "/proc/self/no such file")
    wait = ProcessorWait()
    assert wait.now().waited == 0.0
    assert wait.since(wait.now()) == ""


def test_a_failure_has_the_note(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ProcessorWait, "since", lambda *_: "this program waited 7 ms")
    result = run_script("client c1 -connect ${bad_backend} {\ntxreq\n} -run\n")
    assert result.failure is not None
    assert result.failure.notes == ()  # no command of the client ran
    result = run_script(
        """
        server s1 {
            rxreq
            expect req.url == "x"
        } -start
        client c1 -connect ${s1_sock} {
            txreq
        } -run
        server s1 -wait
        """
    )
    assert result.failure is not None
    assert ("machine", "this program waited 7 ms") in result.failure.notes
    assert "machine|this program waited 7 ms" in result.text()


def test_the_file_is_closed() -> None:
    before = len(os.listdir("/proc/self/fd"))
    run_script("delay 0\n")
    assert len(os.listdir("/proc/self/fd")) == before
