"""How a page looks: what is legible, what fits, what is in sight."""

from __future__ import annotations

from typing import Final, Protocol

from playwright.async_api import Page
from tests.peers.chromium import ChatPage
from tests.peers.screens import until


class Shown(Protocol):
    """A page that is shown."""

    page: Page


CONTRASTS: Final = """
() => {
    const channel = (part) => {
        const c = part / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
    };
    const parse = (color) => color.match(/[\\d.]+/g).map(Number);
    const luminance = ([r, g, b]) =>
        0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
    const ground = (node) => {
        const color = parse(getComputedStyle(node).backgroundColor);
        return color.length === 4 && color[3] === 0 ? ground(node.parentElement) : color;
    };
    const contrast = (a, b) => {
        const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y);
        return (light + 0.05) / (dark + 0.05);
    };
    const found = {};
    for (const node of document.querySelectorAll("body *")) {
        if (!node.checkVisibility()) continue;
        const own = [...node.childNodes].some((one) => one.nodeType === 3 && one.data.trim());
        if (!own && !node.placeholder) continue;
        const pseudo = own ? undefined : "::placeholder";
        const ink = parse(getComputedStyle(node, pseudo).color);
        found[`${node.tagName} ${node.id || node.className}`] = contrast(ink, ground(node));
    }
    return found;
}
"""
"""The contrast of each text with what it stands on (WCAG 2, relative luminance)."""
SIDES: Final = """
() => [
        ...document.querySelectorAll("body, header, main, form, aside, input, button"),
        ...document.querySelectorAll("#log, #state, #code"),
    ]
    .filter((node) => node.checkVisibility())
    .map((node) => [node.id || node.tagName, node.getBoundingClientRect()])
    .filter(([, { left, right }]) => left < 0 || right > innerWidth)
    .map(([name]) => name)
"""
"""What does not fit between the left and the right side of the window."""


async def legible(page: Shown, texts_min: int = 5) -> None:
    """Nothing of so many texts or more is too faint to read (WCAG 2.2, 1.4.3)."""
    contrasts = await page.page.evaluate(CONTRASTS)
    assert len(contrasts) >= texts_min
    faint = {what: ratio for what, ratio in contrasts.items() if ratio < 4.5}
    assert not faint


async def fits(page: ChatPage) -> None:
    """The page needs no scrolling but in the log."""
    size = "[document.documentElement.scrollWidth, document.documentElement.scrollHeight]"
    width, height = await page.page.evaluate(size)
    room = page.page.viewport_size
    assert room is not None
    assert (width, height) == (room["width"], room["height"])
    assert await page.page.evaluate(SIDES) == []
    log = "(({ scrollWidth, clientWidth }) => scrollWidth - clientWidth)(document.all.log)"
    assert await page.page.evaluate(log) == 0


async def at_the_end(page: ChatPage) -> None:
    """The newest line of the log is in sight."""
    last = page.page.locator("#log > *").last

    async def in_sight() -> bool:
        box, log = await last.bounding_box(), await page.page.locator("#log").bounding_box()
        assert box is not None
        assert log is not None
        return box["y"] + box["height"] <= log["y"] + log["height"]

    await until(in_sight, lambda: "the end of the log is out of sight")
