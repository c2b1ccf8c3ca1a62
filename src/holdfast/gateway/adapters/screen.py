"""Outputs as text on a screen of lines. Hot path.

A `Screen` knows whether the cursor stands behind a prompt, and what stands under a heading. How
text becomes bytes is a subclass's.
"""

from __future__ import annotations

from collections.abc import Sequence

from holdfast.core.items import Binary, Data, Formatted, Notice, Output, Prompt, Span, Text
from holdfast.gateway.adapters.ansi_spans import SpanReader
from holdfast.gateway.adapters.elements import without_markup
from holdfast.gateway.adapters.headings import Headings
from holdfast.gateway.adapters.shown import notice, unforged, visible
from holdfast.gateway.adapters.styles import paint


class Screen:
    """Text out. A subclass writes it: `_line`, `_prompt`, `_data`, `_bytes`, `_queue`."""

    __slots__ = ("_encoded", "_headings", "_prompted", "_raw", "_shows_elements", "_spans")

    def __init__(self, *, raw: bool, spans: SpanReader | None = None) -> None:
        self._raw = raw
        """Whether text comes from a server for terminals: its control sequences are kept."""
        self._spans = spans
        """What reads colours in text, if they are read."""
        self._shows_elements = False
        """Whether a server's elements (MXP) are sent."""
        self._prompted = ""
        """The unanswered prompt in front of the cursor."""
        self._headings: Headings | None = None
        """The headings, while outputs are shown under any."""
        self._encoded = 0
        """The number of the newest output that went through `encode`."""

    # --- what a subclass does

    def _line(self, text: str) -> bytes:
        """Whole lines of text, with their end."""
        raise NotImplementedError

    def _prompt(self, text: str) -> bytes:
        """Text that the cursor stays behind."""
        raise NotImplementedError

    def _data(self, package: str, json: str) -> bytes:
        """A structured message, where the protocol has any."""
        return b""

    def _bytes(self, data: bytes) -> bytes:
        """Bytes as they are, where the protocol has any."""
        return b""

    def _queue(self, data: bytes) -> None:
        """Send `data` with the next `data_to_send`."""
        raise NotImplementedError

    def _paint(self, text: str, spans: Sequence[Span]) -> str:
        """Styled text, as far as the client shows styles."""
        return paint(text, spans, 0)

    # --- outputs

    def encode(self, first: int, items: Sequence[Output | None]) -> bytes:
        parts = []
        if self._raw and not self._shows_elements:
            items = without_markup(items)
        if self._spans is not None:
            items = self._spans.read(items)
        for number, item in enumerate(items, first):
            if item is not None and self._headings is not None:
                parts.append(self._head(self._headings, number, item))
            if type(item) is Text and not self._prompted:
                parts.append(self._line(self._shown(item.text)))
            elif item is not None:
                parts.append(self._encode_other(item))
        self._encoded = first + len(items) - 1
        return b"".join(parts)

    def encode_volatile(self, item: Output) -> bytes:
        return self._encode_other(item if self._spans is None else self._spans.item(item))

    def _head(self, headings: Headings, number: int, item: Output) -> bytes:
        heading = headings.above(number, item)
        if headings.over(number):
            self._headings = None
        return self._notice(heading) if heading else b""

    def _encode_other(self, item: Output) -> bytes:
        match item:
            case Text(text):
                return self._fresh() + self._line(self._shown(text))
            case Formatted(text, spans):
                return self._fresh() + self._line(unforged(self._paint(text, spans)))
            case Prompt(text) if text == self._prompted:
                return b""  # it stands there
            case Prompt(text):
                fresh, self._prompted = self._fresh(), text
                return fresh + self._prompt(self._shown(text))
            case Notice(text):
                return self._notice(text)
            case Data(package, json):
                return self._data(package, json)
            case Binary(data):
                return self._bytes(data)

    def _shown(self, text: str) -> str:
        """Text of others. What a server behind us says is made for terminals."""
        if self._raw or (text.isprintable() and "*" not in text):
            return text
        return unforged(visible(text))

    # --- what the gateway says

    def _fresh(self) -> bytes:
        """Leave the line of a prompt that nobody has answered."""
        if not self._prompted:
            return b""
        self._prompted = ""
        return self._line("")

    def _notice(self, text: str) -> bytes:
        return self._fresh() + self._line(notice(text))

    def _say(self, text: str) -> None:
        self._queue(self._notice(text))

    def _show_prompt(self, prompt: str) -> None:
        self._queue(self._fresh() + self._prompt(prompt))
        self._prompted = prompt
