"""What people do with a terminal's page: programs that fill the screen, pasting, watching."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import asyncssh
import pytest
from playwright.async_api import Browser
from tests.backends.ssh.running import gateway_to
from tests.backends.ssh.servers import openssh
from tests.cli.process import Program, program
from tests.gateway.running import eventually, serving
from tests.peers.screens import until
from tests.peers.terminal_page import PHONE, TerminalPage, page_of, shell
from tests.ports import free_port
from tests.programs import ROOT, missing, need

from holdfast.core.errors import Reason

pytestmark = pytest.mark.asyncio(loop_scope="session")

PLAYER: Final = ROOT / "frontend/node_modules/asciinema-player/dist/bundle/asciinema-player.min.js"
_PASTE: Final = """
(text) => {
    const data = new DataTransfer();
    data.setData("text/plain", text);
    const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
    document.querySelector(".xterm-helper-textarea").dispatchEvent(event);
}
"""
_NOTE_COPIES: Final = """
() => {
    window.copies = [];
    navigator.clipboard.writeText = async (text) => { window.copies.push(text); };
}
"""
_SHARE_OFFLINE: Final = """
() => {
    const state = document.getElementById("state");
    new MutationObserver(() => {
        if (window.sharedOffline || state.dataset.state !== "offline") return;
        window.sharedOffline = true;
        document.getElementById("share").click();
        document.getElementById("shared").click();
    }).observe(state, { attributes: true });
}
"""
_SCREEN: Final = """
() => {
    const buffer = window.holdfastTerminal.buffer.active;
    const lines = [];
    for (let y = 0; y < window.holdfastTerminal.rows; y += 1) {
        lines.push(buffer.getLine(buffer.viewportY + y).translateToString(true).trimEnd());
    }
    return buffer.type + "\\n" + lines.join("\\n").trimEnd();
}
"""


async def pictured(page: TerminalPage, name: str, folder: Path) -> None:
    """A screenshot, for people to look at."""
    folder = Path(os.environ.get("SCREENSHOTS", folder))
    await page.page.screenshot(path=folder / f"terminal-{name}.png")


# --- programs that fill the screen


async def test_an_editor_survives_a_reload(browser: Browser, tmp_path: Path) -> None:
    need("vim")
    file = tmp_path / "file"
    async with serving(shell()) as gateway, page_of(browser, gateway) as page:
        await page.sees("$")
        await page.enters(f"vim -u NONE -n {file}")
        await page.sees("\n~")
        await page.types("ihello 漢字 👍")
        await page.sees("hello 漢字 👍")
        before = await page.page.evaluate(_SCREEN)
        assert before.startswith("alternate\nhello 漢字 👍\n~")
        await pictured(page, "vim", tmp_path)
        await page.page.reload()
        await page.comes("online")
        await page.sees("hello 漢字 👍")
        text = "\n".join(before.splitlines()[:20])  # the status line is vim's to paint again

        async def is_there() -> bool:
            seen: str = await page.page.evaluate(_SCREEN)
            return seen.startswith(text)

        await until(is_there, lambda: f"{text!r} is not there again")
        await page.types(" more")
        await page.page.keyboard.press("Escape")
        await page.enters(":wq")
        await eventually(file.is_file)
        assert file.read_text() == "hello 漢字 👍 more\n"


async def test_a_program_that_paints_all_the_time(browser: Browser, tmp_path: Path) -> None:
    need("htop")
    async with serving(shell()) as gateway, page_of(browser, gateway) as page:
        await page.sees("$")
        await page.enters("htop")
        await page.sees("Load average")
        await page.page.set_viewport_size({"width": 700, "height": 500})
        await page.sees("F10Quit")
        await pictured(page, "htop", tmp_path)
        await page.types("q")
        await page.enters("echo BA''CK")
        await page.sees("BACK")


async def presses_ctrl_c(page: TerminalPage) -> None:
    """As a person with a phone does."""
    await page.page.click("#ctrl")
    await page.types("c")


async def test_programs_on_an_ssh_server_and_a_phone(browser: Browser, tmp_path: Path) -> None:
    need("vim")
    key = asyncssh.generate_private_key("ssh-ed25519")
    key.write_private_key(tmp_path / "key")
    only = {"key_file": str(tmp_path / "key"), "methods": ("publickey",)}
    async with (
        openssh(tmp_path, key) as server,
        gateway_to(server, of_target=only) as gateway,
        page_of(browser, gateway, **PHONE) as page,
    ):
        await page.sees("#" if server.user == "root" else "$")
        await presses_ctrl_c(page)
        await page.sees("^C")
        await page.enters("export PS1='> ' LC_ALL=C.UTF-8; echo RE''ADY")
        await page.sees("READY")
        await page.enters("yes")
        await page.sees("y\ny\ny")
        await presses_ctrl_c(page)
        await page.enters("clear; echo BA''CK")
        await page.sees("BACK")
        await page.enters(f"cd {tmp_path} && vim -u NONE -n file")
        await page.sees("\n~")
        await page.types("ihello 漢字 👍")
        await page.sees("hello 漢字 👍")
        await pictured(page, "phone-vim", tmp_path)
        await page.page.click("#keys [data-key=esc]")
        await page.enters(":wq")
        await eventually((tmp_path / "file").is_file)
        await page.enters("seq 500 | less")
        await page.sees("\n:")
        await page.types("G")
        await page.sees("(END)")
        await pictured(page, "phone-less", tmp_path)
        await page.types("q")
        await page.enters("echo DO''NE")
        await page.sees("DONE")


# --- pasting


async def test_pasted_text_is_marked_and_comes_whole(browser: Browser, tmp_path: Path) -> None:
    file = tmp_path / "pasted"
    text = "".join(f"line {number} 漢字 é\n" for number in range(8_000))
    async with serving(shell()) as gateway, page_of(browser, gateway) as page:
        await page.sees("$")
        await page.page.evaluate(_PASTE, "echo ON''E\necho TW''O")
        await page.sees("TW''O")
        assert "ONE" not in await page.screen(), "what is pasted is not run"
        await page.page.keyboard.press("Enter")
        await page.sees("ONE\nTWO")
        await page.enters(f"stty -echo; echo REA''DY; cat >{file}; stty echo; echo DO''NE")
        await page.sees("READY")  # behind the end of bracketed paste
        await asyncio.to_thread(_wait_for, file)
        await page.page.evaluate(_PASTE, text)
        await eventually(lambda: file.stat().st_size == len(text.encode()))
        await page.page.keyboard.press("Control+d")
        await page.sees("DONE")
        assert file.read_text() == text


def _wait_for(file: Path) -> None:
    while not file.is_file():
        os.sched_yield()


# --- watching


async def test_a_link_lets_others_watch(browser: Browser, tmp_path: Path) -> None:
    async with serving(shell()) as gateway, page_of(browser, gateway) as owner:
        await owner.sees("$")
        await owner.enters("echo BEF''ORE")
        await owner.sees("BEFORE")
        await owner.page.click("#share")
        await owner.page.wait_for_function("() => document.getElementById('invitation').value")
        link = await owner.page.input_value("#invitation")
        async with page_of(browser, link, **PHONE) as viewer:
            await viewer.comes("watching")
            await viewer.sees("BEFORE")
            assert not await viewer.page.is_visible("#keys")
            assert not await viewer.page.is_visible("#end")
            await owner.page.wait_for_selector("#share >> text=Watched by 1")
            size = "[window.holdfastTerminal.cols, window.holdfastTerminal.rows]"
            assert await viewer.page.evaluate(size) == await owner.page.evaluate(size)
            await viewer.types("echo FORBIDDEN")
            await owner.page.set_viewport_size({"width": 620, "height": 420})
            await owner.page.click("#shared")
            await owner.page.click("#terminal")
            await owner.enters("echo AF''TER")
            await viewer.sees("AFTER")
            own = await owner.page.evaluate(size)
            await viewer.page.wait_for_function(f"() => ({size}).join() === '{own[0]},{own[1]}'")
            assert "FORBIDDEN" not in await owner.screen()
            await pictured(viewer, "viewer-phone", tmp_path)
            await viewer.page.reload()
            await viewer.comes("watching")
            await viewer.sees("AFTER")
            await owner.page.click("#share")
            await pictured(owner, "sharing", tmp_path)
            await owner.page.click("#watchers button")
            await viewer.comes("over")
            assert await viewer.said() == "The invitation was revoked."
            await viewer.page.reload()
            await viewer.comes("over")
            assert (await viewer.said()).startswith("You cannot watch: the invitation is not known")
        await owner.page.wait_for_selector("#share >> text=Share")


async def test_a_program_writes_to_the_clipboard_of_its_user_alone(browser: Browser) -> None:
    async with serving(shell()) as gateway, page_of(browser, gateway) as owner:
        await owner.sees("$")
        await owner.page.click("#share")
        await owner.page.wait_for_function("() => document.getElementById('invitation').value")
        link = await owner.page.input_value("#invitation")
        await owner.page.click("#shared")
        async with page_of(browser, link) as viewer:
            await viewer.comes("watching")
            for page in (owner, viewer):
                await page.page.evaluate(_NOTE_COPIES)
            await owner.page.click("#terminal")
            await owner.enters(r"printf '\033]52;c;aGVsbG8=\007'; echo COP''IED")
            for page in (owner, viewer):
                await page.sees("COPIED")
            assert await owner.page.evaluate("window.copies") == ["hello"]
            assert await viewer.page.evaluate("window.copies") == []


async def test_what_a_program_puts_out_tricks_no_page(browser: Browser) -> None:
    """It cannot read the clipboard, the title or the window, size it or open anything in it."""
    async with serving(shell()) as gateway, page_of(browser, gateway) as page:
        opened: list[str] = []
        page.page.on("dialog", lambda dialog: opened.append(dialog.message))
        page.page.on("popup", lambda popup: opened.append(popup.url))
        await page.sees("$")
        size = "[holdfastTerminal.cols, holdfastTerminal.rows]"
        before = await page.page.evaluate(size)
        # The last asks for the state, which is answered: behind the answers to what is before it.
        await page.enters(
            r"printf '\033[21t\033[14t\033[8;5;5t\033]52;c;?\007\033[5n'; read -rsd n x;"
            r""" printf 'answered <%q>\n' "$x" """
        )
        await page.sees(r"answered <$'\E[0'>")
        assert await page.page.evaluate(size) == before
        await page.enters(r"""printf "\033]0;$(printf 'T%.0s' {1..5000})\007TITL"; echo ED""")
        await page.sees("TITLED")
        assert await page.page.title() == "T" * 200
        await page.enters(r"printf '\033]8;;javascript:alert(1)\007%s\033]8;;\007\n' CLICK''ME")
        await page.sees("CLICKME")
        await page.page.locator(".xterm-rows").get_by_text("CLICKME").last.click(force=True)
        await page.enters("echo DO''NE")
        await page.sees("DONE")
        assert opened == []


async def test_a_link_that_is_asked_for_while_offline_is_asked_for_again(browser: Browser) -> None:
    async with serving(shell()) as gateway, page_of(browser, gateway) as owner:
        await owner.sees("$")
        await owner.page.evaluate(_SHARE_OFFLINE)
        (session,) = gateway.manager.sessions.values()
        session.detach(Reason.SLOW_CONSUMER, gateway.context.wall())
        await owner.page.wait_for_function("() => window.sharedOffline")
        await owner.comes("online")
        await owner.page.click("#share")
        await owner.page.wait_for_function("() => document.getElementById('invitation').value")


# --- the gateway restarts


@asynccontextmanager
async def gateway_at(config: Path) -> AsyncIterator[Program]:
    async with program("serve", config) as gateway:
        await gateway.logged("listening for clients")
        yield gateway


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGKILL], ids=["term", "kill"])
async def test_a_gateway_that_restarts_says_what_became_of_the_shell(
    browser: Browser, tmp_path: Path, how: signal.Signals
) -> None:
    at = free_port()
    user = 'user = "root"\n' if os.geteuid() == 0 else ""
    config = tmp_path / "gateway.toml"
    config.write_text(
        f'[[listener]]\nurl = "ws://127.0.0.1:{at}/"\nbackend = "pty"\n[listener.pty]\n'
        f'command = ["bash", "--norc", "--noprofile"]\n{user}'
        f'[store]\npath = "{tmp_path}/sessions.db"\n'
    )
    async with gateway_at(config) as gateway, page_of(browser, f"http://127.0.0.1:{at}/") as page:
        await page.comes("online")
        await page.enters("echo PI''D $$.")
        seen = await page.sees("PID ")
        shell_pid = int(seen.rpartition("PID ")[2].partition(".")[0])
        gateway.send(how)
        if how is signal.SIGTERM:
            await page.has_said("your session ends with it")
        await page.comes("offline")
        await gateway.ends()
        await eventually(lambda: not Path(f"/proc/{shell_pid}").exists())
        async with gateway_at(config):
            await page.comes("over")  # it connects by itself: a click could come behind that
            assert "its shell has ended" in (await page.said()).lower()
            page.faults.clear()  # that nobody was there to connect to
            await page.page.click("#act")
            await page.comes("online")
            await page.enters("echo NE''W")
            await page.sees("NEW")


# --- recordings


async def test_a_recording_plays_in_the_player_of_asciinema(
    browser: Browser, tmp_path: Path
) -> None:
    if not PLAYER.is_file():
        missing("asciinema's player is not installed (./dev pages)")
    async with serving(shell(record=str(tmp_path))) as gateway, page_of(browser, gateway) as page:
        await page.sees("$")
        await page.enters("echo 漢字 é FI''NISH")
        await page.sees("漢字 é FINISH")
        await page.page.set_viewport_size({"width": 600, "height": 400})
        await page.enters("echo SE''COND; exit")
        await page.comes("over")
    (cast,) = tmp_path.glob("*.cast")  # noqa: ASYNC240
    async with await browser.new_context() as context:
        player = TerminalPage(await context.new_page())
        await player.page.set_content("<div id=player></div>")
        await player.page.add_script_tag(path=PLAYER)
        shown: str = await player.page.evaluate(_PLAY, cast.read_text())
        assert "漢字 é FINISH" in shown
        assert "SECOND" in shown
        assert player.faults == []


_PLAY: Final = """
(cast) => new Promise((resolve, reject) => {
    const element = document.getElementById("player");
    const options = { speed: 50, idleTimeLimit: 0.1, fit: false };
    const player = AsciinemaPlayer.create({ data: cast }, element, options);
    player.addEventListener("error", (event) => reject(new Error(String(event))));
    player.addEventListener("ended", () => setTimeout(() => resolve(element.innerText), 200));
    player.play();
})
"""


async def test_the_page_can_evaluate_nothing(browser: Browser) -> None:
    async with serving(shell()) as gateway, page_of(browser, gateway) as page:
        await page.comes("online")
        ran = await page.page.evaluate(
            "() => { const run = (name) => { try { window[name]('1'); return 'ran'; }"
            " catch (error) { return error.name; } };"
            # Later: what the debugger runs may evaluate.
            " return new Promise((resolve) =>"
            " setTimeout(() => resolve([run('eval'), run('Function')]))); }"
        )
        assert ran == ["EvalError", "EvalError"]
        page.faults.clear()  # the browser tells of each
