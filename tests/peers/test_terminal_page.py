"""The terminal's page in a real browser, in front of a real shell."""

from __future__ import annotations

import os
from pathlib import Path

import asyncssh
import pytest
from playwright.async_api import Browser
from tests.backends.ssh.running import gateway_to
from tests.backends.ssh.servers import PASSWORD, encrypted, openssh, scripted
from tests.gateway.running import eventually, port, serving
from tests.peers.terminal_page import PHONE, TerminalPage, page_of, shell

pytestmark = pytest.mark.asyncio(loop_scope="session")


async def test_a_login_by_password(tmp_path: Path, browser: Browser) -> None:
    async with (
        scripted(tmp_path) as server,
        gateway_to(server, known_hosts="") as gateway,
        page_of(browser, gateway) as page,
    ):
        await page.asked("hostkey")
        assert server.fingerprint in await page.page.inner_text("#label")
        await page.page.click("#choices button >> text=yes")
        await page.asked("password")
        assert await page.page.get_attribute("#field", "type") == "password"
        await page.answers("password", PASSWORD)
        await page.sees("$")
        assert await page.page.inner_text("#where") == "ann@box"
        await page.enters("hello")
        await page.sees("you said hello")
        await page.enters("exit 3")
        await page.comes("over")
        assert await page.said() == "Ended with status 3."


async def test_a_login_by_key(tmp_path: Path, browser: Browser) -> None:
    key = asyncssh.generate_private_key("ssh-ed25519")
    async with (
        openssh(tmp_path, key) as server,
        gateway_to(server, of_target={"command": "bash --norc --noprofile"}) as gateway,
        page_of(browser, gateway) as page,
    ):
        await page.answers("key", encrypted(key, "sesame"))
        await page.answers("passphrase", "sesame")
        await page.sees("#" if server.user == "root" else "$")
        await page.enters("echo FI''NISH")
        await page.sees("FINISH")


async def test_a_login_by_answers(tmp_path: Path, browser: Browser) -> None:
    async with (
        scripted(tmp_path, ask=True) as server,
        gateway_to(server, of_target={"user": "kim"}) as gateway,
        page_of(browser, gateway, **PHONE) as page,
    ):
        await page.page.wait_for_selector("#notices >> text=Two questions")
        for label, kind, answer in (("Colour", "text", "blue"), ("Token", "password", "42")):
            await page.asked("prompt")
            await page.page.wait_for_selector(f"#label >> text={label}")
            assert await page.page.get_attribute("#field", "type") == kind
            await page.answers("prompt", answer)
        await page.sees("$")
        assert await page.page.inner_text("#where") == "kim@box"


async def test_a_wrong_password(tmp_path: Path, browser: Browser) -> None:
    async with (
        scripted(tmp_path) as server,
        gateway_to(server) as gateway,
        page_of(browser, gateway) as page,
    ):
        for _ in range(3):
            await page.answers("password", "wrong")
        await page.comes("over")
        assert await page.said() == "'box' does not let 'ann' log in with that."


async def test_a_shell_in_all_its_uses(browser: Browser) -> None:
    async with serving(shell()) as gateway, page_of(browser, gateway) as page:
        await page.sees("$")
        await page.enters("echo 漢字 👩‍👩‍👧 é FI''NISH")
        await page.sees("漢字 👩‍👩‍👧 é FINISH")
        before = await page.page.evaluate("window.holdfastTerminal.cols")
        await page.page.set_viewport_size({"width": 600, "height": 400})
        await page.page.wait_for_function(
            "(before) => window.holdfastTerminal.cols !== before", arg=before
        )
        columns = await page.page.evaluate("window.holdfastTerminal.cols")
        await page.enters("echo SI''ZE $(stty size)")
        assert f"SIZE {await page.page.evaluate('window.holdfastTerminal.rows')} {columns}" in (
            await page.sees("SIZE ")
        )
        await page.enters("seq 500 | less")
        await page.sees("\n:")
        await page.types("G")
        await page.sees("(END)")
        await page.types("q")
        await page.enters("yes")
        await page.sees("y\ny\ny")
        await page.page.keyboard.press("Control+c")
        await page.enters("echo BA''CK")
        await page.sees("BACK")


async def test_a_reload_and_a_new_tab_lose_nothing(browser: Browser) -> None:
    async with serving(shell()) as gateway, page_of(browser, gateway) as page:
        await page.sees("$")
        await page.enters("for i in 1 2 3 4 5 6 7 8; do echo line $((i * 111)); done")
        before = await page.sees("line 888\n$")
        await page.page.reload()
        await page.comes("online")
        assert (await page.sees("line 888\n$")).strip() == before.strip()
        (session,) = gateway.manager.sessions.values()
        context = page.page.context
        await page.enters("sleep 1; echo MIS''SED; echo TO''O")
        await page.sees("TO''O\n")  # the shell has it
        await page.page.close()
        await eventually(lambda: not session.attached)
        page = TerminalPage(await context.new_page())
        await page.page.goto(f"http://127.0.0.1:{port(gateway, 'ws')}/")
        assert before.strip().removesuffix("$") in await page.sees("MISSED\nTOO")
        assert list(gateway.manager.sessions.values()) == [session]


async def test_another_device_by_code(browser: Browser) -> None:
    async with serving(shell()) as gateway, page_of(browser, gateway) as page:
        await page.sees("$")
        await page.enters("echo HE''RE")
        await page.sees("HERE")
        await page.page.click("#elsewhere")
        await page.page.wait_for_selector("#code:not([hidden])")
        code = (await page.page.inner_text("#code")).split()[-1]
        async with await browser.new_context(**PHONE) as context:
            phone = TerminalPage(await context.new_page())
            await phone.page.goto(f"http://127.0.0.1:{port(gateway, 'ws')}/#{code}")
            await phone.sees("HERE")
            await page.comes("over")
            await phone.page.click("#keys [data-key=pipe]")
            await phone.sees("$ |")


async def test_an_address_that_cannot_be_decoded(browser: Browser) -> None:
    async with serving(shell()) as gateway:
        url = f"http://127.0.0.1:{port(gateway, 'ws')}/"
        async with page_of(browser, f"{url}#%") as page:
            await page.comes("over")
            assert "cannot be taken up again" in await page.said()
            await page.page.click("#act")
            await page.sees("$")


async def test_a_gateway_that_was_restarted_says_what_became_of_the_shell(
    browser: Browser,
) -> None:
    async with serving(shell()) as gateway, page_of(browser, gateway) as page:
        await page.sees("$")
        await page.page.evaluate(
            "localStorage.setItem(Object.keys(localStorage).find((key) =>"
            " key.startsWith('holdfast.term.')), 'no such token')"
        )
        await page.page.reload()
        await page.comes("over")
        assert "its shell has ended" in (await page.said()).lower()


@pytest.mark.parametrize("screen", ["desk", "phone"])
async def test_how_it_looks(browser: Browser, screen: str, tmp_path: Path) -> None:
    options = PHONE if screen == "phone" else {"viewport": {"width": 1000, "height": 600}}
    async with serving(shell()) as gateway, page_of(browser, gateway, **options) as page:
        await page.sees("$")
        await page.enters("ls --color=always -la / | head -12")
        await page.sees("..")
        widths: list[int] = await page.page.evaluate(
            "[document.documentElement.scrollWidth, window.innerWidth]"
        )
        assert widths[0] <= widths[1], "nothing is wider than the screen"
        assert await page.page.is_visible("#keys") is (screen == "phone")
        behind: list[str] = await page.page.evaluate(
            "['body', '.xterm-viewport'].map((one) =>"
            " getComputedStyle(document.querySelector(one)).backgroundColor)"
        )
        assert behind[0] == behind[1], "no frame of another colour around the terminal"
        folder = Path(os.environ.get("SCREENSHOTS", tmp_path))
        await page.page.screenshot(path=folder / f"terminal-{screen}.png")


async def test_the_headers_of_the_page(browser: Browser) -> None:
    async with serving(shell()) as gateway, page_of(browser, gateway) as page:
        answer = await page.page.goto(page.page.url)
        assert answer is not None
        policy = (await answer.all_headers())["content-security-policy"]
        assert policy.startswith("default-src 'none'; script-src 'self';")
        assert "unsafe-eval" not in policy
