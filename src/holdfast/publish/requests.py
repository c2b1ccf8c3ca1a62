"""The requests of publishers, their answers and when they are sent again. No I/O."""

from __future__ import annotations

import itertools
import os
import secrets
import ssl
from collections.abc import Generator, Iterable, Mapping, Sequence
from typing import Any, Final, NamedTuple
from urllib.parse import quote, urlencode

import msgspec
from msgspec import Struct

from holdfast.core.backoff import Backoff
from holdfast.core.errors import ConfigurationError, HoldfastError, Source
from holdfast.core.items import Output
from holdfast.core.validation import UnsendableError
from holdfast.protocols.json_items import write_output

Item = str | Output | Mapping[str, Any]
"""A text, an item of `holdfast.core.items`, or the JSON object of one."""
Names = str | Sequence[str]
KEY_VARIABLE: Final = "HOLDFAST_API_KEY"
API_VARIABLE: Final = "HOLDFAST_API"
DEFAULT_API: Final = "http://127.0.0.1:9181"
ANSWER_BYTES_MAX: Final = 16 * 1024 * 1024
_FIRST_PAUSE_SECONDS: Final = 0.1
_PAUSE_SECONDS_MAX: Final = 5.0
_LATER: Final = frozenset({408, 425, 429, 500, 502, 503, 504})
"""Statuses after which the same request may succeed."""


class PublishError(HoldfastError):
    """A request was not carried out, or it is not known whether it was."""

    source = Source.REMOTE


class UnavailableError(PublishError):
    """The gateway cannot be reached, or cannot store anything now. The request was tried again
    until its time was over; it may have been carried out."""

    retryable = True


class RefusedError(PublishError):
    """The gateway refused. Nothing was sent. `code` says why, as in docs/publish.md."""

    def __init__(self, message: str, code: str, status: int) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class UnknownSessionError(RefusedError):
    """The application has none of these sessions."""


class Unknown(Struct, frozen=True):
    """The targets of a publication that do not exist."""

    session: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    """Users without a session."""
    group: tuple[str, ...] = ()
    """Groups without a member."""


class Published(Struct, frozen=True):
    """What became of a publication."""

    reached: int
    """Sessions that have got it, or get it when their clients come back."""
    attached: int = 0
    """Those of them whose clients are connected."""
    unknown: Unknown = Unknown()
    repeated: bool = False
    """Whether it was carried out before: the counts are of then."""


class SessionFound(Struct, frozen=True):
    """A session of a user."""

    sid: str
    app: str
    user: str
    state: str
    attached: bool
    protocol: str
    address: str


class Group(Struct, frozen=True):
    """A group."""

    group: str
    members: list[str]
    count: int
    attached: int


class _Result(Published, frozen=True):
    error: str = ""
    code: str = ""


class _Fault(Struct, frozen=True):
    error: str
    code: str = ""


class _Sessions(Struct, frozen=True):
    sessions: list[SessionFound]
    more: bool = False


class Call(NamedTuple):
    """A request."""

    method: str
    target: str
    body: bytes = b""


class Reply(NamedTuple):
    """An answer."""

    status: int
    body: bytes
    retry_after_s: float = 0.0


class Ids:
    """The ids of one program's publications. Those of a process that was forked are its own."""

    def __init__(self) -> None:
        self._of: tuple[int, str] | None = None
        self._numbers = itertools.count(1)

    def next(self) -> str:
        """A new id."""
        pid = os.getpid()
        if self._of is None or self._of[0] != pid:
            self._of = (pid, secrets.token_hex(8))
        return f"{self._of[1]}:{next(self._numbers)}"


def publication(
    item: Item | None = None,
    *,
    session: Names = (),
    user: Names = (),
    group: Names = (),
    items: Iterable[Item] = (),
    delivery: str = "",
    id: str = "",
    app: str = "",
    durability: str = "",
) -> dict[str, Any]:
    """A publication, for `Client.publish_all`. The arguments are those of `Client.publish`."""
    said = [*([item] if item is not None else []), *items]
    values = {
        "to": _present({"session": session, "user": user, "group": group}),
        "items": [_json_of(one) for one in said],
        "delivery": delivery,
        "id": id,
        "app": app,
        "durability": durability,
    }
    return _present(values)


def publish_call(publications: Sequence[Mapping[str, Any]], ids: Ids) -> Call:
    """The request for some publications. Each has an id, so that it can be sent again."""
    numbered = [{"id": ids.next(), **one} for one in publications]
    try:
        body = msgspec.json.encode(numbered)
    except (TypeError, RecursionError, UnicodeEncodeError) as error:
        raise UnsendableError(f"publication: expected what JSON can hold: {error}") from error
    return Call("POST", "/v1/publish", body)


def sessions_call(user: str, app: str, after: str) -> Call:
    """The request for the sessions of a user."""
    query = urlencode(_present({"user": user, "app": app, "after": after}))
    return Call("GET", f"/v1/sessions?{query}")


def group_call(name: str, app: str) -> Call:
    """The request for a group."""
    query = f"?{urlencode({'app': app})}" if app else ""
    return Call("GET", f"/v1/groups/{quote(name, safe='')}{query}")


def close_call(sid: str, reason: str) -> Call:
    """The request to end a session."""
    body = msgspec.json.encode({"reason": reason})
    return Call("POST", f"/v1/sessions/{quote(sid, safe='')}/close", body)


Step = Generator[float, Reply | OSError, bytes]


def attempts(call: Call, seconds_max: float, times: Iterable[float], entropy: Any) -> Step:
    """The attempts at a call: yields the pause before each one, and is sent its result.

    Returns the body of the answer. Raises `PublishError`. `times` gives the time at each step.
    """
    clock = iter(times)
    begun = next(clock)
    backoff = Backoff(_FIRST_PAUSE_SECONDS, _PAUSE_SECONDS_MAX, _PAUSE_SECONDS_MAX)
    pause = 0.0
    while True:
        result = yield pause
        if isinstance(result, Reply) and result.status not in _LATER:
            return _good(result)
        pause = backoff.pause(entropy(), 0.0)
        if isinstance(result, Reply):
            pause = max(pause, result.retry_after_s)
            fault = _fault(result).error
        else:
            fault = str(result) or type(result).__name__
        hopeless = isinstance(result, ssl.SSLCertVerificationError)
        if hopeless or next(clock) - begun + pause > seconds_max:
            raise UnavailableError(f"{call.method} {call.target.partition('?')[0]}: {fault}")


def results_of(body: bytes) -> list[Published | RefusedError]:
    """The results of some publications, in their order."""
    return [
        _refusal(one.error, one.code, 200)
        if one.code
        else Published(one.reached, one.attached, one.unknown, one.repeated)
        for one in _decode(body, list[_Result])
    ]


def sessions_of(body: bytes) -> tuple[list[SessionFound], bool]:
    """Sessions, and whether there are more."""
    found = _decode(body, _Sessions)
    return found.sessions, found.more


def group_of(body: bytes) -> Group:
    """A group."""
    group: Group = _decode(body, Group)
    return group


def headers_of(key: str, call: Call) -> dict[str, str]:
    """The header fields of a request, beside `Host`. Raises `ConfigurationError` for a key that
    cannot be sent."""
    if not key.isascii() or not key.isprintable():
        raise ConfigurationError("key: expected printable ASCII characters")
    fields = {"Authorization": f"Bearer {key}"}
    if call.method == "POST":
        fields |= {"Content-Type": "application/json", "Content-Length": str(len(call.body))}
    return fields


def key_of(key: str | None) -> str:
    """The key, or that of the environment. Raises `ConfigurationError` if there is none."""
    found = key if key is not None else os.environ.get(KEY_VARIABLE, "")
    if not found.strip():
        raise ConfigurationError(f"key: expected a key, or {KEY_VARIABLE}; found neither")
    return found.strip()


def retry_after(value: str | None) -> float:
    """The seconds of a `Retry-After`; 0 without one, or for a date."""
    return float(value) if value and value.isascii() and value.isdecimal() else 0.0


def _good(reply: Reply) -> bytes:
    if reply.status == 200:
        return reply.body
    fault = _fault(reply)
    raise _refusal(fault.error, fault.code, reply.status)


def _fault(reply: Reply) -> _Fault:
    try:
        return msgspec.json.decode(reply.body, type=_Fault)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return _Fault(f"the answer has the status {reply.status}")


def _refusal(message: str, code: str, status: int) -> RefusedError:
    kind = UnknownSessionError if code == "unknown_session" else RefusedError
    return kind(message, code, status)


def _decode(body: bytes, kind: Any) -> Any:
    try:
        return msgspec.json.decode(body, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise PublishError(f"the answer cannot be read: {error}") from error


def _json_of(item: Item) -> Any:
    return item if isinstance(item, str | Mapping) else write_output(item)


def _present(values: Mapping[str, Any]) -> dict[str, Any]:
    """Without what was left out."""
    return {
        name: value if isinstance(value, str | dict) else list(value)
        for name, value in values.items()
        if value
    }
