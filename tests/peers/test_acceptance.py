"""What real Telnet clients must be able to do, and where it is tested.

| what | clients | test |
|---|---|---|
| compressed output (MCCP 2), text beyond ASCII in it | tt++, tf, KildClient | `test_compression` |
| compressed input (MCCP 3) | tt++ | `test_compression` |
| GMCP, MSDP where there is no GMCP | tt++ by a script, KildClient | `test_structured_messages` |
| a new window size | all | `test_a_window_has_another_size` |
| no junk when others get GMCP | tf, telnet | `test_structured_messages` |
| hidden input, and its line end once | all | `test_hidden_input`, `test_login` |
| a line of telnet in character mode (CR NUL) is one line | telnet | `test_character_mode` |
| the application is killed; what is typed meanwhile runs once | all | `test_restart` |
| killed or cut off; `resume CODE` shows what was missed | all | `test_resume` |
| from Telnet to a WebSocket client | tt++, all | `test_resume`, `test_on_to_a_websocket` |
| the gateway stops, or is killed | all | `test_restart` |
| a game, from the login to its end | all | `test_mud` |
| LINEMODE | telnet | `test_linemode` |
| the library as the server | all | `test_telnet_library` |

Mudlet needs a screen and an account's settings to start; what it does is in transcripts of our own
making (`tests/protocols/telnet/test_mudlet.py`).
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio
from tests.cli.process import SECONDS
from tests.peers.clients import TELNET_CLIENTS, start
from tests.peers.gateways import RunningGateway, running
from tests.peers.recorder import Recorder, inflated, recorder
from tests.peers.screens import Screen
from tests.peers.tmux import Tmux
from tests.programs import need

from holdfast.client import Client, ClientEvent, Online, Text, connect
from holdfast.protocols.telnet.codes import MCCP2, MCCP3

pytestmark = pytest.mark.asyncio(loop_scope="session")

STAGE: Final = Path(__file__).with_name("stage.py")
INFLATES: Final = ("tt++", "tf", "kildclient")
DEFLATES: Final = ("tt++",)
SIZES: Final = {"kildclient": (600, 500)}
"""In pixels; of the others, in characters."""
TINTIN: Final = r"""
#event {CATCH IAC WILL GMCP} {GMCP}
#event {CATCH IAC WILL MSDP} {MSDP}
#event {IAC SB GMCP} {#showme {GOT GMCP %0 %1}}
#event {IAC SB MSDP} {#showme {GOT MSDP %0 %1}}
#session x 127.0.0.1 PORT
"""
ACCEPTS: Final = {"GMCP": r"#send {\xFF\xFD\xC9\}", "MSDP": r"#send {\xFF\xFD\x45\}"}
REFUSES: Final = {"GMCP": r"#send {\xFF\xFE\xC9\}", "MSDP": r"#send {\xFF\xFE\x45\}"}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateway(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[RunningGateway]:
    folder = tmp_path_factory.mktemp("stage")
    async with running(STAGE, folder, telnet="mccp = [2, 3]\nmsdp = true\n") as it:
        yield it


def without_window(screen: str) -> str:
    """Without the size of the window, whenever the client tells it."""
    return re.sub(r"Your window: .*\n", "", screen)


@pytest.mark.parametrize("name", TELNET_CLIENTS)
async def test_compression(
    tmp_path: Path, terminals: Tmux, gateway: RunningGateway, name: str
) -> None:
    async with recorder(gateway.ports["telnet"]) as wire:
        pane = await start(terminals, name, {"telnet": wire.port}, tmp_path)
        await pane.code()
        # What is said first may be too early for a client that is slow to answer.
        await pane.types("greet")
        for line in ("look", "north"):
            await pane.types(line)
            await pane.sees(f"You said [{line}].")
        screen = await pane.screen()
        assert ("café Привет 天地" in screen) is (name != "tf")  # it cannot show UTF-8
        sent = inflated(wire.down, MCCP2)
        assert (b"You said [north]." in sent) is (name in INFLATES)
        assert (b"You said [north]." in wire.down) is (name not in INFLATES)
        assert (b"caf" in sent) is (name in INFLATES)
        assert (b"north\r\n" in inflated(wire.up, MCCP3)) is (name in DEFLATES)
        assert (b"north" in wire.up) is (name not in DEFLATES)


async def tintin(terminals: Tmux, folder: Path, wire: Recorder, accepts: str) -> Screen:
    """tt++ with a script for one of the two."""
    script = TINTIN.lstrip().replace("PORT", str(wire.port))
    for name in ACCEPTS:
        script = script.replace(
            f"{{{name}}}\n", f"{{{(ACCEPTS if name == accepts else REFUSES)[name]}}}\n"
        )
    path = folder / f"{accepts}.tin"
    path.write_text(script)
    return await terminals.open(need("env"), f"HOME={folder}", need("tt++"), "-G", "-r", str(path))


async def test_structured_messages(
    tmp_path: Path, terminals: Tmux, gateway: RunningGateway
) -> None:
    async with recorder(gateway.ports["telnet"]) as wire:
        for accepts, seen in (
            ("GMCP", "GOT GMCP Char.Vitals {hp}{42}{note}{été}"),
            ("MSDP", "GOT MSDP Char.Vitals {hp}{42}{note}{été}"),
        ):
            pane = await tintin(terminals, tmp_path, wire, accepts)
            await pane.code()
            await pane.types("data")
            await pane.sees("Told.")
            await pane.sees(seen)
    panes = {
        name: await start(terminals, name, gateway.ports, tmp_path)
        for name in ("kildclient", "tf", "telnet")
    }
    for pane in panes.values():
        await pane.code()
    await panes["kildclient"].types("data")
    await panes["kildclient"].sees('GOT GMCP Char.Vitals {"hp":"42","note":"été"}')
    await panes["tf"].types("everybody")
    for name, pane in panes.items():
        await pane.sees("Hear this.")
        screen = await pane.sees("Heard this.")
        assert ("xxxx" in screen) is (name == "kildclient")
        between = without_window(screen.partition("Hear this.")[2].partition("Heard this.")[0])
        assert name == "kildclient" or between.strip() == ""


@pytest.mark.parametrize("name", TELNET_CLIENTS)
async def test_a_window_has_another_size(
    tmp_path: Path, terminals: Tmux, gateway: RunningGateway, name: str
) -> None:
    pane = await start(terminals, name, gateway.ports, tmp_path)
    await pane.code()
    await pane.sees("> ")
    await pane.resize(*SIZES.get(name, (120, 35)))
    told = re.compile(r"Your window: (\d+) x (\d+)\.")

    def is_another(screen: str) -> bool:
        widths = [int(width) for width, _ in told.findall(screen)]
        # The first size is told as well if it comes late; KildClient's font decides its own.
        return widths[-1:] != [] and (widths[-1] in (119, 120) or 50 < widths[-1] < 99)

    screen = await pane.shows(is_another, "another size")
    assert 10 < int(told.findall(screen)[-1][1]) < 40


@pytest.mark.parametrize("name", TELNET_CLIENTS)
async def test_hidden_input(
    tmp_path: Path, terminals: Tmux, gateway: RunningGateway, name: str
) -> None:
    async with recorder(gateway.ports["telnet"]) as wire:
        pane = await start(terminals, name, {"telnet": wire.port}, tmp_path)
        await pane.code()
        await pane.types("hide")
        await pane.sees("Secret: ")
        before = len(wire.up)
        await pane.types("sesame")
        screen = await pane.sees("You said [sesame].")
        between = screen.partition("Secret:")[2].partition("You said")[0]
        assert "sesame" not in between
        assert without_window(between).count("\n") <= 2
        typed = inflated(wire.up, MCCP3) or wire.up[before:]
        assert typed.count(b"sesame\r\n") == 1
        await pane.types("aloud")
        await pane.sees("You said [aloud].")


async def test_character_mode(tmp_path: Path, terminals: Tmux, gateway: RunningGateway) -> None:
    async with recorder(gateway.ports["telnet"]) as wire:
        pane = await terminals.open(need("telnet"), "127.0.0.1", str(wire.port))
        await pane.code()
        await pane.press("C-]")
        await pane.sees("telnet> ")
        await pane.types("mode character")
        await pane.types("look")
        await pane.sees("You said [look].")
        await pane.types("north")
        screen = await pane.sees("You said [north].")
        typed = re.sub(rb"\xff\xfa.*?\xff\xf0", b"", wire.up, flags=re.DOTALL)
        assert b"north\r\0" in typed  # the answer to a question of the gateway may come in between
        assert screen.count("You said [") == 2  # none of an empty line


async def hears(client: Client, condition: Callable[[ClientEvent], bool]) -> None:
    async with asyncio.timeout(SECONDS):
        while not condition(await client.receive()):
            pass


async def test_on_to_a_websocket(tmp_path: Path, terminals: Tmux, gateway: RunningGateway) -> None:
    for name in TELNET_CLIENTS:
        pane = await start(terminals, name, gateway.ports, tmp_path)
        code = await pane.code()
        await pane.types("here")
        await pane.sees("You said [here].")
        await pane.kill()
        async with connect(gateway.url("ws")) as client:
            await hears(client, lambda event: isinstance(event, Online))
            client.resume(code)
            await hears(client, lambda event: isinstance(event, Online))
            client.command("there")
            await hears(client, lambda it: isinstance(it, Text) and it.d == "You said [there].")
