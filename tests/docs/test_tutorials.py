"""The tutorials, followed line by line with the installed wheel."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Page, expect
from tests.docs.following import following
from tests.docs.pages import ROOT
from tests.package.build import Environment
from tests.peers.chromium import chromium
from tests.programs import need

TUTORIALS = ROOT / "docs" / "tutorials"


async def test_a_chat_in_ten_minutes(installed: Environment, tmp_path: Path) -> None:
    need("nc")
    async with following(tmp_path, installed) as follower:
        await follower.follow(TUTORIALS / "chat.md")


async def test_a_mud_behind_the_gateway(installed: Environment, tmp_path: Path) -> None:
    async with following(tmp_path, installed) as follower:
        await follower.follow(TUTORIALS / "mud.md")


async def test_a_live_dashboard(installed: Environment, tmp_path: Path) -> None:
    async with following(tmp_path, installed) as follower, chromium() as browser:
        await follower.follow(TUTORIALS / "dashboard.md")
        pages: list[Page] = []
        for _ in range(2):
            page = await browser.new_page()
            page.set_default_timeout(60_000)
            await page.goto(follower.here("http://127.0.0.1:8080/"))
            pages.append(page)
        await pages[0].get_by_text("Sell one").click()
        for page in pages:
            await expect(page.locator("#sold")).to_have_text("1", timeout=60_000)
        program = tmp_path / "dashboard.py"
        changed = program.read_text().replace("sold = 0", "sold = 100")
        program.write_text(changed)
        for page in pages:
            await expect(page.locator("#sold")).to_have_text("100", timeout=60_000)


def test_each_tutorial_has_its_test() -> None:
    named = {page.name for page in TUTORIALS.glob("*.md")} - {"index.md"}
    text = Path(__file__).read_text()
    assert {name for name in named if f'TUTORIALS / "{name}"' not in text} == set()
