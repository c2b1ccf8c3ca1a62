"""`holdfast record`: what is said through it becomes a script."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

import pytest
from tests.cli.process import program, run
from tests.gateway.clients import person_at


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(b"Say something: ")
    while line := await reader.readline():
        writer.write(b"You said: " + line)
    writer.close()


async def test_a_conversation_becomes_a_script(tmp_path: Path) -> None:
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        url = f"tcp://127.0.0.1:{port}"
        async with program("record", url, "new.vtc", folder=tmp_path) as recorder:
            said = await recorder.says("listening at ")
            assert said.endswith(f", forwarding to {url}")
            where = int(said.removeprefix("listening at 127.0.0.1:").partition(",")[0])
            async with person_at(where, telnet=False) as someone:
                await someone.sees("Say something: ")
                someone.sends(b"hello\n")
                await someone.sees("You said: hello\n")
            recorder.send(signal.SIGINT)
            await recorder.says("written to new.vtc")
            assert await recorder.ends() == 0
    assert (tmp_path / "new.vtc").read_text() == (
        f'vtest "recorded at {url}"\n'
        "\n"
        f"client c1 -connect 127.0.0.1:{port} {{\n"
        "    lines {\n"
        '        rx prompt "Say something: "\n'
        '        tx line "hello"\n'
        '        rx line "You said: hello"\n'
        "    }\n"
        "} -run\n"
    )


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["tcp://127.0.0.1:1", "old.vtc"], 1, "old.vtc: there is such a file already"),
        (["gopher://here", "new.vtc"], 2, "'gopher://here': expected one of"),
        (["tcp://127.0.0.1:1", "nowhere/new.vtc"], 1, "No such file or directory"),
        (
            ["tcp://127.0.0.1:1", "new.vtc", "--listen", "192.0.2.1:1"],
            1,
            "assign requested address",
        ),
    ],
    ids=["a-file-that-exists", "no-address", "no-folder", "no-port"],
)
async def test_what_cannot_be_done_is_one_line(
    tmp_path: Path, arguments: list[str], code: int, said: str
) -> None:
    (tmp_path / "old.vtc").write_text("")
    found, _, error = await run("record", *arguments, folder=tmp_path)
    assert found == code
    assert error.startswith("holdfast: ")
    assert said in error
    assert error.count("\n") == 1
