"""KildClient, a client for MUDs with a window, on a display that nobody sees (Xvfb).

It is typed into as by a person, with keys; what its window shows is read out by a script of its
own, which it runs a few times each second.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Final

from tests.peers.screens import Screen, until
from tests.programs import need

_WORLD: Final = """<?xml version="1.0" encoding="UTF-8"?>
<kcworld>
  <name>test</name>
  <host>127.0.0.1</host>
  <port>{port}</port>
  <charset>UTF-8</charset>
  <proxy type="0"/>
  <input-spell active="0" language=""/>
  <flood-prevention enabled="0" max-repeat="20"></flood-prevention>
  <scroll on-output="1" lines="20000"/>
  <confirm-delete confirm="0"/>
  <perl-character char="~"/>
  <scriptfile>{script}</scriptfile>
  <protocols><mccp behavior="1"/></protocols>
</kcworld>
"""
_SCRIPT: Final = r"""
sub holdfast_show {
  my @lines;
  for (my $n = 0; ; $n++) {
    my $line = $::world->getline($n);
    last if !defined($line) && $n > 0;
    push(@lines, $line) if defined($line);
  }
  open(my $file, '>:encoding(UTF-8)', 'SCREEN.new') or return;
  print $file join("\n", @lines), "\n";
  close($file);
  rename('SCREEN.new', 'SCREEN');
}
sub holdfast_data {
  my $text = $::_serverdata;
  $::world->echonl("GOT $::server_data{'protocol'} $text");
}
$::world->hook('OnServerData', '~holdfast_data()');
$::world->timer({ interval => 0.2, action => '~holdfast_show()' });
"""
_SIZE: Final = "1000x700x24"
_numbers = count()


class Display:
    """An X server without a screen."""

    def __init__(self, name: str) -> None:
        self.environment = {
            **os.environ,
            "DISPLAY": name,
            "LC_ALL": "C.UTF-8",
            "NO_AT_BRIDGE": "1",
            "GDK_BACKEND": "x11",
        }

    async def do(self, *words: str) -> str:
        """Run a command of xdotool; returns what it wrote."""
        process = await asyncio.create_subprocess_exec(
            need("xdotool"),
            *words,
            env=self.environment,
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        return (await process.communicate())[0].decode()


@asynccontextmanager
async def display() -> AsyncIterator[Display]:
    """A display with a number that was free, while the block runs."""
    read, write = os.pipe()
    process = await asyncio.create_subprocess_exec(
        *(need("Xvfb"), "-displayfd", str(write), "-screen", "0", _SIZE, "-nolisten", "tcp"),
        pass_fds=(write,),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    os.close(write)
    try:
        with os.fdopen(read, "rb") as pipe:
            number = (await asyncio.to_thread(pipe.readline)).decode().strip()
        assert number, "Xvfb found no display"
        yield Display(f":{number}")
    finally:
        with suppress(ProcessLookupError):
            process.kill()
        await process.wait()


class KildClient(Screen):
    """A window with a connection in it."""

    def __init__(
        self, display: Display, process: asyncio.subprocess.Process, screen: Path, window: str
    ) -> None:
        super().__init__()
        self._display = display
        self._process = process
        self._file = screen
        self._window = window

    async def _look(self) -> str:
        assert self._process.returncode is None, "KildClient has ended by itself"
        return self._file.read_text() if self._file.exists() else ""

    async def _shown_anew(self) -> None:
        """Wait until the window was read out from its beginning to its end once more."""
        seen = set[int]()

        async def is_newer() -> bool:
            if self._file.exists():
                seen.add(self._file.stat().st_mtime_ns)
            return len(seen) > 2 or self._process.returncode is not None

        await until(is_newer, lambda: "KildClient does not read out its window")

    async def types(self, line: str) -> None:
        # One command: another window on the display cannot take the keys. For a character that is
        # on no key, the keyboard is changed first, which the window must hear of.
        delay = "2" if line.isascii() else "200"
        await self._display.do(
            *("windowfocus", "--sync", self._window),
            *("type", "--clearmodifiers", "--delay", delay, "--", line),
        )
        await self._display.do("windowfocus", "--sync", self._window, "key", "Return")

    async def resize(self, width: int, height: int) -> None:
        """In pixels."""
        await self._display.do("windowsize", self._window, str(width), str(height))

    async def ends(self) -> str:
        screen = await self.screen()
        await self._process.wait()
        return screen

    async def kill(self) -> str:
        if self._process.returncode is None:
            await self._shown_anew()
            await self.screen()
            with suppress(ProcessLookupError):
                self._process.kill()
            await self._process.wait()
        return self._seen


async def kildclient(display: Display, port: int, home: Path) -> KildClient:
    """A window that connects to this port. Its settings are in a new folder in `home`.

    Now and then KildClient does not find its settings, and takes their name for a host's: then it
    is started again.
    """
    folder = home / f"kildclient-{next(_numbers)}"
    folder.mkdir()
    script, screen = folder / "test.pl", folder / "screen"
    script.write_text(_SCRIPT.replace("SCREEN", str(screen)))
    (folder / "test.wrl").write_text(_WORLD.format(port=port, script=script))
    while True:
        process = await asyncio.create_subprocess_exec(
            *(need("kildclient"), f"--config={folder}", "test"),
            env={**display.environment, "HOME": str(folder)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        window = await _window(display, process)
        if window:
            return KildClient(display, process, screen, window)
        process.kill()
        await process.wait()


async def _window(display: Display, process: asyncio.subprocess.Process) -> str:
    """The window with the connection; none if it is another's."""
    found = ""

    async def is_open() -> bool:
        nonlocal found
        assert process.returncode is None, "KildClient has ended by itself"
        of_it = ("search", "--all", "--onlyvisible", "--pid", str(process.pid), "--name")
        found = (await display.do(*of_it, "^KildClient - test$")).partition("\n")[0]
        return bool(found or await display.do(*of_it, "^Disconnected$"))

    await until(is_open, lambda: "KildClient has no window")
    return found
