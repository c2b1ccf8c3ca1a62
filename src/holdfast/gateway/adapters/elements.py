"""A server's elements (MXP), for clients that do not show any. Hot path."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from holdfast.core.items import Output, Prompt, Text
from holdfast.protocols.telnet.mxp_lines import is_marked, without_elements

_TEXTS: Final = (Text, Prompt)
"""A union would be made anew for each item."""


def without_markup(items: Sequence[Output | None]) -> Sequence[Output | None]:
    """Outputs without elements. One in which there was nothing else is left out, as `None`."""
    for item in items:
        if isinstance(item, _TEXTS) and is_marked(item.text):
            return [*map(_without, items)]
    return items


def _without(item: Output | None) -> Output | None:
    if not isinstance(item, _TEXTS):
        return item
    text = without_elements(item.text)
    return None if text is None else type(item)(text)
