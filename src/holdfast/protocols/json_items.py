"""Items as JSON objects: of the HTTP API, of publishers and of backends that are a URL.

An output is an object with one of the keys `text`, `data`, `prompt`, `notice` and `binary`, or a
string, which is a text: `{"text": "Hello"}`, `{"package": "Order", "data": {"state": "sent"}}`.
A command is an object with its number, `{"n": 3, "type": "text", "text": "look"}`.
"""

from __future__ import annotations

import binascii
from collections.abc import Sequence
from typing import Any, Final

import msgspec
from msgspec import Raw, Struct, field

from holdfast.core.items import (
    Binary,
    Command,
    Data,
    Formatted,
    Interrupt,
    Notice,
    Output,
    Prompt,
    Span,
    Text,
)
from holdfast.core.validation import UnsendableError

_KINDS: Final = "text, data, prompt, notice or binary"


class JsonSpan(Struct, frozen=True, forbid_unknown_fields=True):
    """A style for `length` characters of a text from `start` on."""

    start: int
    length: int
    style: str


class JsonOutput(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """An output. Exactly one of `text`, `data`, `prompt`, `notice` and `binary` is there."""

    text: str | None = None
    """Whole lines, without the end of the last one."""
    spans: Sequence[JsonSpan] = ()
    """With `text`: its styles."""
    package: str | None = None
    """With `data`: the name of the message."""
    data: Raw = field(default_factory=Raw)
    """A structured message: any JSON."""
    prompt: str | None = None
    """The text before the user's cursor."""
    notice: str | None = None
    """A line that is set apart from the application's text."""
    binary: str | None = None
    """Bytes in Base64 (RFC 4648 section 4)."""


def read_output(it: JsonOutput | str) -> Output:
    """The item that `it` stands for. Raises `UnsendableError`."""
    if isinstance(it, str):
        return Text(it)
    if it.text is not None and it.spans:
        _check_alone(it, "text", "spans")
        spans = tuple(Span(span.start, span.length, span.style) for span in it.spans)
        return Formatted(it.text, spans)
    if it.text is not None:
        if it.package or it.data or it.prompt or it.notice or it.binary:
            _check_alone(it, "text")
        return Text(it.text)
    if it.data:
        if it.package is None:
            raise UnsendableError("item: expected package beside data, found none")
        _check_alone(it, "data", "package")
        return Data(it.package, bytes(it.data).decode())
    if it.prompt is not None:
        _check_alone(it, "prompt")
        return Prompt(it.prompt)
    if it.notice is not None:
        _check_alone(it, "notice")
        return Notice(it.notice)
    _check_alone(it, "binary")
    if it.binary is None:
        raise UnsendableError(f"item: expected one of {_KINDS}; found none")
    return Binary(_from_base64(it.binary))


def _check_alone(it: JsonOutput, *allowed: str) -> None:
    """Raise `UnsendableError` if there is anything beside what an item of its kind has."""
    for name in JsonOutput.__struct_fields__:
        if name not in allowed and getattr(it, name):
            raise UnsendableError(f"item: expected no {name} beside {allowed[0]}")


def write_output(item: Output) -> dict[str, Any]:
    """The JSON object of an output."""
    match item:
        case Text(text):
            return {"text": text}
        case Formatted(text, spans):
            return {
                "text": text,
                "spans": [
                    {"start": one.start, "length": one.length, "style": one.style} for one in spans
                ],
            }
        case Data(package, json):
            return {"package": package, "data": Raw(json.encode())}
        case Prompt(text):
            return {"prompt": text}
        case Notice(text):
            return {"notice": text}
        case Binary(data):
            return {"binary": _to_base64(data)}


def write_command(number: int, item: Command) -> dict[str, Any]:
    """The JSON object of a command and its number."""
    match item:
        case Text(text):
            return {"n": number, "type": "text", "text": text}
        case Data(package, json):
            return {"n": number, "type": "data", "package": package, "data": _raw(json)}
        case Binary(data):
            return {"n": number, "type": "binary", "binary": _to_base64(data)}
        case Interrupt():
            return {"n": number, "type": "interrupt"}


def _raw(json: str) -> Any:
    """A client's JSON as it is; as a string if it is none, since a client may say anything."""
    encoded = json.encode()
    try:
        msgspec.json.decode(encoded, type=Raw)
    except (msgspec.DecodeError, RecursionError):
        return json
    return Raw(encoded) if encoded.strip() else json


def _to_base64(data: bytes) -> str:
    return binascii.b2a_base64(data, newline=False).decode()


def _from_base64(text: str) -> bytes:
    try:
        return binascii.a2b_base64(text, strict_mode=True)
    except (ValueError, binascii.Error) as error:
        raise UnsendableError(f"binary: expected Base64; found {text[:40]!r}: {error}") from None
