"""The bodies of requests and answers of the API, as types: they are also its OpenAPI document."""

from __future__ import annotations

from typing import Final, Literal

import msgspec
from msgspec import Struct

from holdfast.core.items import MUST, Output
from holdfast.core.validation import UnsendableError
from holdfast.protocols.json_items import JsonOutput, read_output
from holdfast.sessions.publishing import NOBODY, Publication, Published, Targets

Names = str | list[str]


class To(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """Whom a publication is for: one of each, or several. A session gets it once."""

    session: Names | None = None
    """Sessions, by their ids."""
    user: Names | None = None
    """All sessions of users."""
    group: Names | None = None
    """All sessions in groups."""


class PublishRequest(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, gc=False):
    """A publication: one item or several, for some sessions."""

    to: To
    item: JsonOutput | str | None = None
    """An output; a string is a text."""
    items: list[JsonOutput | str] = []
    """Instead of `item`: several, in this order."""
    delivery: str = MUST
    """`must`, `volatile` (only for clients that are connected), or `latest:KEY` (a newer one
    replaces an unseen older one)."""
    id: str = ""
    """If it is there, the publication is carried out once, however often it comes."""
    app: str = ""
    """The application whose sessions are meant, if the key is for several."""
    durability: Literal["memory", "fast", "durable"] = "fast"
    """When it is answered: once it is accepted, once it survives a crash of the gateway, or
    once it survives a loss of power."""


class Unknown(Struct, frozen=True, omit_defaults=True, gc=False):
    """The targets of a publication that do not exist."""

    session: tuple[str, ...] = ()
    user: tuple[str, ...] = ()
    """Users without a session."""
    group: tuple[str, ...] = ()
    """Groups without a member."""


class PublishResult(Struct, frozen=True, omit_defaults=True, gc=False):
    """What became of a publication; with `error`, nothing was sent."""

    reached: int
    """Sessions that have got it, or get it when their clients come back."""
    attached: int = 0
    """Those of them whose clients are connected."""
    unknown: Unknown | None = None
    """What it names and there is not; absent if there is nothing."""
    repeated: bool = False
    """Whether it was carried out before: the counts are of then."""
    error: str = ""
    code: str = ""


class Fault(Struct, frozen=True, omit_defaults=True):
    """Why a request was refused."""

    error: str
    code: str


class SessionView(Struct, frozen=True):
    """A session."""

    sid: str
    app: str
    user: str
    state: str
    attached: bool
    """Whether its client is connected."""
    protocol: str
    address: str


class SessionList(Struct, frozen=True, omit_defaults=True):
    """Sessions of a user, in the order of their ids. `after` asks for those behind."""

    sessions: list[SessionView]
    more: bool = False


class GroupView(Struct, frozen=True):
    """A group."""

    group: str
    members: list[str]
    """The ids of its sessions, as many as one answer may have."""
    count: int
    attached: int
    """Members whose clients are connected."""


class CloseRequest(Struct, frozen=True, forbid_unknown_fields=True):
    """Why a session is closed."""

    reason: str = "kicked"
    app: str = ""


class Closed(Struct, frozen=True):
    """A session was closed."""

    closed: str


read_publications: Final = msgspec.json.Decoder(PublishRequest | list[PublishRequest]).decode
write: Final = msgspec.json.Encoder().encode


def publication_of(it: PublishRequest) -> Publication:
    """The publication that a request asks for. Raises `UnsendableError`."""
    if (it.item is not None) is bool(it.items):
        found = "both" if it.items else "neither"
        raise UnsendableError(f"expected either item or items, found {found}")
    items: tuple[Output, ...]
    items = tuple(map(read_output, it.items)) if it.item is None else (read_output(it.item),)
    to = it.to
    targets = Targets(
        () if to.session is None else _names(to.session),
        () if to.user is None else _names(to.user),
        () if to.group is None else _names(to.group),
    )
    return Publication(targets, items, it.delivery, it.id)


def result_of(published: Published) -> PublishResult:
    """The answer to a publication."""
    it = published.unknown
    unknown = None if it is NOBODY else Unknown(it.sessions, it.users, it.groups)
    return PublishResult(published.reached, published.attached, unknown, published.repeated)


def _names(names: Names) -> tuple[str, ...]:
    return (names,) if isinstance(names, str) else tuple(names)
