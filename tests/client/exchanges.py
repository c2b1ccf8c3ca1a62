"""Exchanges that every client of `holdfast.v1` must have in the same way, from `exchanges.json`.

An exchange is a list of steps: `open` (a connection), `hear` (a message of the
server; a string that begins with `raw:` is no JSON), `do` (what a person does),
`second` (time passes), `cut` (the connection is lost) and `closed` (it is, with this code). With
each step stands what the client
`says` and `shows` then (`thrown`: the call raises), whether it drops the connection (`fault`), and
whether it `ends` and will not connect again. An
exchange may end with what is `kept` of the session, as JSON, and whether it is `online`.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Struct

from holdfast.client.commands import Dropped, Uncertain
from holdfast.client.core import Began, ClientCore, Event, Online
from holdfast.client.state import ServerFaultError, State
from holdfast.protocols import holdfast_v1 as wire

Json = dict[str, Any]

NOTHING_KEPT: Final[Json] = {
    "sid": "",
    "token": "",
    "epoch": "",
    "last": 0,
    "sent": 0,
    "attempts": 0,
    "pending": [],
}
_BEGINNINGS: Final[dict[str, list[Json]]] = {
    "": [],
    "welcomed": [
        {"open": True, "says": [{"t": "hello", "try": 1}]},
        {
            "hear": {
                "t": "welcome",
                "sid": "S",
                "token": "t1",
                "epoch": "E",
                "seq": 0,
                "heartbeat": 30,
            }
        },
    ],
}
_BEGINNINGS["counting"] = [*_BEGINNINGS["welcomed"], {"hear": {"t": "skip", "n": 3}}]


class Seen(Struct, frozen=True):
    """What a client does at one step."""

    says: list[Json] = []
    shows: list[Json] = []
    fault: bool = False
    ends: bool = False


class Exchange(Struct, frozen=True):
    """One exchange, written out."""

    name: str
    steps: list[Json]
    kept_before: Json | None
    kept: Json | None
    online: bool | None

    @property
    def expected(self) -> list[Seen]:
        return [
            Seen(
                step.get("says", []),
                step.get("shows", []),
                step.get("fault", False),
                step.get("ends", False),
            )
            for step in self.steps
        ]


def _written_out(entry: Json) -> Iterator[Exchange]:
    if "each" in entry:
        ((word, values),) = entry["each"].items()
        for number, value in enumerate(values):
            text = json.dumps({key: each for key, each in entry.items() if key != "each"})
            plain = text.replace(f'"{word}"', json.dumps(value))
            yield from _written_out({**json.loads(plain), "name": f"{entry['name']} {number}"})
        return
    kept = entry.get("kept")
    yield Exchange(
        name=entry["name"],
        steps=_BEGINNINGS[entry.get("begins", "")] + entry["steps"],
        kept_before=entry.get("kept_before"),
        kept=None if kept is None else NOTHING_KEPT | kept,
        online=entry.get("online"),
    )


def _commands(first: int, last: int) -> list[Json]:
    return [{"t": "cmd", "c": c, "d": str(c)} for c in range(first, last + 1)]


_CATCHING_UP: Final[Json] = {
    "name": "who was away for long keeps 128 commands in flight",
    "kept_before": {
        **{"sid": "S", "token": "t1", "epoch": "E", "last": 0, "sent": 300, "attempts": 1},
        "pending": _commands(1, 300),
    },
    "steps": [
        {"open": True, "says": [{"t": "hello", "try": 2, "token": "t1"}]},
        {
            "hear": {
                **{"t": "resumed", "sid": "S", "token": "t2", "epoch": "E"},
                **{"from": 1, "to": 0, "cin": 10, "heartbeat": 30},
            },
            "says": _commands(11, 138),
        },
        {"do": ["command", "301"]},
        {"hear": {"t": "ack", "c": 11}, "says": _commands(139, 139)},
        {"do": ["quit"]},  # it goes behind all of them
        {"hear": {"t": "ack", "c": 100}, "says": _commands(140, 228)},
        {"hear": {"t": "resend", "c": 150}, "says": _commands(150, 228)},
        {"hear": {"t": "ack", "c": 228}, "says": [*_commands(229, 301), {"t": "quit"}]},
    ],
    "kept": {
        **{"sid": "S", "token": "t2", "epoch": "E", "sent": 301, "attempts": 2},
        "pending": _commands(229, 301),
    },
}
"""Too long to be written out."""
_SMALLER: Final[Json] = {"t": "cmd", "c": 2, "d": "y" * 300}
_LIMITS: Final[list[Json]] = [
    {
        "name": "a message that is larger than a gateway takes is refused where it is said",
        "begins": "welcomed",
        "steps": [
            {"do": ["command", "x" * 65_536], "shows": [{"t": "thrown"}]},
            {"do": ["command", "\u2603" * 22_000], "shows": [{"t": "thrown"}]},
            {"do": ["command", "\x01" * 11_000], "shows": [{"t": "thrown"}]},
            {"do": ["data", "P", ["x" * 65_536]], "shows": [{"t": "thrown"}]},
            {"do": ["data", "x" * 65_536, 1], "shows": [{"t": "thrown"}]},
            {"do": ["login", "ann", "x" * 65_536], "shows": [{"t": "thrown"}]},
            {"do": ["authenticate", "x" * 65_536], "shows": [{"t": "thrown"}]},
            {"do": ["choose", "", "x" * 65_536], "shows": [{"t": "thrown"}]},
            {"do": ["resume", "x" * 65_536], "shows": [{"t": "thrown"}]},
            {"do": ["command", "x"], "says": [{"t": "cmd", "c": 1, "d": "x"}]},
        ],
    },
    {
        "name": "the gateway says how large a message may be; what was kept is dropped if larger",
        "kept_before": {
            **{"sid": "S", "token": "t1", "epoch": "E", "last": 0, "sent": 3, "attempts": 1},
            "pending": [
                {"t": "cmd", "c": 1, "d": "a"},
                _SMALLER,
                {"t": "cmd", "c": 3, "d": "b"},
            ],
        },
        "steps": [
            {"open": True, "says": [{"t": "hello", "try": 2, "token": "t1"}]},
            {
                "hear": {
                    **{"t": "resumed", "sid": "S", "token": "t2", "epoch": "E", "bytes_max": 100},
                    **{"from": 1, "to": 0, "cin": 0, "heartbeat": 30},
                },
                "shows": [{"t": "dropped", "reason": "refused", "commands": [_SMALLER]}],
                "says": [{"t": "cmd", "c": 1, "d": "a"}, {"t": "cmd", "c": 2, "d": "b"}],
            },
            {"do": ["command", "x" * 100], "shows": [{"t": "thrown"}]},
            {"do": ["command", "c"], "says": [{"t": "cmd", "c": 3, "d": "c"}]},
        ],
        "online": True,
    },
    {
        "name": "too large for a gateway that has not said so: the largest is dropped",
        "begins": "welcomed",
        "steps": [
            {"do": ["command", "a"], "says": [{"t": "cmd", "c": 1, "d": "a"}]},
            {"do": ["command", "y" * 300], "says": [_SMALLER]},
            {"do": ["command", "b"], "says": [{"t": "cmd", "c": 3, "d": "b"}]},
            {
                "closed": 1009,
                "shows": [{"t": "dropped", "reason": "refused", "commands": [_SMALLER]}],
            },
            {"open": True, "says": [{"t": "hello", "try": 2, "token": "t1", "epoch": "E"}]},
            {
                "hear": {
                    **{"t": "resumed", "sid": "S", "token": "t2", "epoch": "E"},
                    **{"from": 1, "to": 0, "cin": 1, "heartbeat": 30},
                },
                "says": [{"t": "cmd", "c": 2, "d": "b"}],
            },
        ],
    },
]

EXCHANGES: Final[dict[str, Exchange]] = {
    exchange.name: exchange
    for entry in [
        *json.loads(Path(__file__).with_suffix(".json").read_text()),
        _CATCHING_UP,
        *_LIMITS,
    ]
    for exchange in _written_out(entry)
}


class Performance(Struct, frozen=True):
    """What a client did in an exchange."""

    seen: list[Seen]
    kept: Json
    online: bool


def bare(message: Json) -> Json:
    """A message of a client without what stands for nothing in it."""
    return {
        key: value for key, value in message.items() if key != "client" and value not in ("", 0)
    }


def perform(exchange: Exchange) -> Performance:
    """Let the Python client have an exchange."""
    state = None
    if exchange.kept_before is not None:
        state = msgspec.json.decode(json.dumps(exchange.kept_before), type=State)
    core = ClientCore(state)
    seen: list[Seen] = []
    connected = False
    for step in exchange.steps:
        try:
            events, fault = _step(core, step)
        except (TypeError, ValueError):
            seen.append(Seen(shows=[{"t": "thrown"}]))
            continue
        connected = "open" in step or (
            connected and not fault and not step.keys() & {"cut", "closed"}
        )
        said = [bare(json.loads(message)) for message in core.take()] if connected else []
        shown = [_shown(event) for event in events if not isinstance(event, Online)]
        seen.append(Seen(said, shown, fault, core.over))
    return Performance(seen, json.loads(msgspec.json.encode(core.state)), core.online)


def _step(core: ClientCore, step: Json) -> tuple[list[Event], bool]:
    """What comes of a step, and whether it is a fault of the server."""
    match step:
        case {"open": _}:
            core.connected()
        case {"hear": message}:
            try:
                events = core.receive(_text_of(message))
            except ServerFaultError:
                core.online = False  # the connection is dropped
                return [], True
            if any(isinstance(event, wire.Refused) and event.retry_ms >= 0 for event in events):
                core.online = False
                return events, True
            return events, False
        case {"do": ["choose", profile, name, *properties]}:
            core.choose(profile=profile, name=name, properties=properties[0] if properties else {})
        case {"closed": 1009}:
            core.online = False
            return core.too_large(), False
        case {"do": [what, *args]}:
            getattr(core, what)(*args)
        case {"second": _}:
            if core.unacknowledged:
                core.acknowledge()
        case _:
            core.online = False
    return [], False


def _text_of(message: Any) -> str:
    if isinstance(message, str):
        return message.removeprefix("raw:")
    return json.dumps(message)


def _shown(event: Event) -> Json:
    if isinstance(event, Began | Dropped | Uncertain):
        fields: Json = json.loads(msgspec.json.encode(event))
        return {"t": type(event).__name__.lower(), **fields}
    message: Json = json.loads(msgspec.json.encode(event))
    return message
