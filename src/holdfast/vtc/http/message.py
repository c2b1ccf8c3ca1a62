"""Puts together what `txreq` and `txresp` send."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from holdfast.vtc.http.body import gzip, pattern_body, random_body
from holdfast.vtc.http.connection import HttpConnection
from holdfast.vtc.http.connection_state import ConnectionState
from holdfast.vtc.io.files import read_file
from holdfast.vtc.language.command import Args, CommandOption, ParsedOption, option
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.numbers import integer, unsigned
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.scope import Scope

CRLF = "\r\n"
_WITH_NUL = re.compile(r"\\0(.?)", re.DOTALL)
"""The reference does not look at the character behind a `\\0` that it has replaced."""
GENERATED_BYTES_MAX = 64 * 1024 * 1024
"""The longest body that is made up."""

FIELD_OPTIONS: tuple[CommandOption, ...] = (
    option("-hdr STRING", 'Add a field, `"Name: value"`. May be repeated.', group=1),
    option("-hdrlen NAME NUMBER", "Add a field with a value of NUMBER digits.", group=1),
    option("-nohost", "No `Host` field. Implied by `-hdr` with one.", group=1),
    option("-nolen", "No `Content-Length` field. Implied by `-hdr` with a length.", group=1),
    option("-nodate", "No `Date` field. Implied by `-hdr` with one.", group=1),
)
GZIP_OPTIONS: tuple[CommandOption, ...] = (
    option("-gziplevel NUMBER", "The level for the gzip options behind it.", group=2),
    option("-gzipresidual NUMBER", "Accepted for compatibility; ignored.", group=2),
    option("-gzipbody STRING", "A body that is compressed.", group=2),
    option("-gziplen NUMBER", "A body of NUMBER random characters, compressed.", group=2),
)
BODY_OPTIONS: tuple[CommandOption, ...] = (
    option("-body STRING", r"The body. `\0` in it becomes a NUL byte.", group=2),
    option("-bodyfrom FILE", "A body read from a file.", group=2),
    option("-bodylen NUMBER", "A body of NUMBER characters in a fixed pattern.", group=2),
    *GZIP_OPTIONS,
)


@dataclass(slots=True)
class Draft:
    """A message in the making."""

    lines: list[str]
    host: bool
    date: bool
    sender: str
    """The name of the field that names the sender; empty for none."""
    body: bytes | None = None
    length: bool = True
    body_given: bool = False

    def add_field(self, line: str) -> None:
        """Add a field of the script, which may replace a default one."""
        self.lines.append(line)
        name = line.partition(":")[0].lower() if ":" in line else ""
        if name in ("content-length", "transfer-encoding"):
            self.length = False
        elif name == "host":
            self.host = False
        elif name == "date":
            self.date = False
        elif name == self.sender.lower():
            self.sender = ""


def complete(scope: Scope[HttpConnection], draft: Draft) -> bytes:
    """The message, with the fields that are added by themselves."""
    macros = scope.case.macros
    if draft.host:
        draft.lines.append("Host: " + macros.expand_text("${localhost}"))
    if draft.date:
        draft.lines.append("Date: " + macros.expand_text("${date}"))
    if draft.sender:
        draft.lines.append(f"{draft.sender}: {scope.subject.name}")
    if draft.body is not None and draft.length:
        draft.lines.append(f"Content-Length: {len(draft.body)}")
    head = CRLF.join([*draft.lines, "", ""])
    return head.encode(ENCODING) + (draft.body or b"")


def apply_options(
    scope: Scope[HttpConnection], args: Args, draft: Draft, given: Iterable[ParsedOption]
) -> None:
    """Apply the options that requests and responses share. Raises `Failure`."""
    for item in given:
        if item.flag.startswith("-no"):
            _leave_out(draft, item.flag)
        elif item.flag == "-hdr":
            draft.add_field(item.values[0])
        elif item.flag == "-hdrlen":
            draft.lines.append(f"{item.values[0]}: {_countdown(integer(item.values[1]))}")
        else:
            _give_body(scope, args, draft, item)


def _leave_out(draft: Draft, flag: str) -> None:
    if flag == "-nolen":
        draft.length = False
    elif flag == "-nohost":
        draft.host = False
    else:
        draft.date = False


def _countdown(length: int) -> str:
    return "".join(str(number % 10) for number in range(length - 1, -1, -1))


def _give_body(scope: Scope[HttpConnection], args: Args, draft: Draft, item: ParsedOption) -> None:
    made = make_body(scope, scope.subject, item)
    if made is None:
        return
    zipped = item.flag.startswith("-gzip")
    if draft.body_given and not zipped:
        raise Failure(f"{args.command.name}: a second body", item.token.position())
    draft.body_given = True
    draft.body = made
    if zipped:
        draft.lines.append("Content-Encoding: gzip")


def make_body(scope: Scope[Any], connection: ConnectionState, item: ParsedOption) -> bytes | None:
    """The body that an option of `BODY_OPTIONS` asks for; `None` if it only sets something."""
    match item.flag:
        case "-body":
            return _WITH_NUL.sub("\0\\1", item.values[0]).encode(ENCODING)
        case "-bodyfrom":
            return read_file(scope, item.values[0])
        case "-bodylen":
            return pattern_body(generated_length(item.values[0]))
        case "-gziplevel":
            connection.gzip_level = unsigned(item.values[0])
        case "-gzipbody":
            return _zip(scope, connection, item.values[0].encode(ENCODING), fragments=False)
        case "-gziplen":
            plain = random_body(generated_length(item.values[0]))
            return _zip(scope, connection, plain, fragments=True)
        case _:
            pass
    return None


def generated_length(word: Token) -> int:
    """The length of a body to be made up. Raises `Failure` if it cannot be."""
    length = unsigned(word)
    if not 0 < length <= GENERATED_BYTES_MAX:
        raise Failure(f"a body's length is 1 to {GENERATED_BYTES_MAX}: {word}", word.position())
    return length


def _zip(scope: Scope[Any], connection: ConnectionState, plain: bytes, *, fragments: bool) -> bytes:
    try:
        packed = gzip(plain, connection.gzip_level, fragments=fragments)
    except (zlib.error, ValueError) as error:
        raise scope.failure(f"Gzip error: {error}") from None
    connection.body_length = str(len(packed))
    scope.log.line(3, f"new bodylen {len(packed)}")
    scope.log.dump(4, "body", packed)
    return packed
