"""What differs between two configurations, and what of it a running gateway takes up.

`effective` is the configuration that a gateway has after a reload: the new one, with the old values
of what needs a restart. `changes` lists each difference with its effect.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import Struct, structs

from holdfast.core.limits import Limits
from holdfast.gateway.config import Config, ListenerConfig
from holdfast.protocols.uris import without_user

Effect = Literal["now", "restart"]

_AT_START: Final = ("node", "traces", "store", "link", "admin", "api")
"""Tables that only a start reads."""
_SECRET: Final = ("secret", "password", "hash", "token")
"""Keys whose values are not shown, by a part of their name."""
_HIDDEN: Final = "(secret)"

LIVE_LIMITS: Final[Mapping[str, frozenset[str] | None]] = {
    "websocket": None,
    "telnet": None,
    "line": None,
    "pages": None,
    "drain": None,
    "session": frozenset(
        {
            "sessions_max", "sessions_per_network_max", "sessions_per_user_max",
            "detached_seconds_max", "unclaimed_seconds_max", "window_messages_max",
            "window_bytes_max", "unsent_bytes_max", "queue_messages_max", "queue_bytes_max",
            "command_lines_max", "bytes_per_command_max", "commands_per_second_max",
            "command_burst_max", "login_seconds_max", "login_attempts_max",
            "asked_code_seconds_max",
        }
    ),
    "connection": frozenset(
        {
            "connections_max", "connections_per_address_max", "handshake_seconds_max",
            "idle_seconds_max", "life_seconds_max", "close_seconds_max", "linger_seconds_max",
            "last_output_seconds_max", "write_buffer_bytes_max", "bytes_per_second_max",
        }
    ),
}  # fmt: skip
"""The limits that a reload changes, for new connections and sessions; `None`: all of the group."""


class _Value(NamedTuple):
    """The plain value of a key."""

    value: Any
    is_default: bool = False


_ABSENT: Final = _Value(None)


class Change(Struct, frozen=True):
    """One difference."""

    key: str
    """As errors name it; a listener is named by its `url`, an upstream by its `name`."""
    before: str
    """The old value as JSON; empty if there was none."""
    after: str
    effect: Effect


def by_url(listeners: Sequence[ListenerConfig]) -> dict[tuple[str, int], ListenerConfig]:
    """Listeners by their `url` and, of those with the same one, their place."""
    found: dict[tuple[str, int], ListenerConfig] = {}
    for listener in listeners:
        place = sum(1 for url, _ in found if url == listener.url)
        found[listener.url, place] = listener
    return found


def effective(old: Config, new: Config) -> Config:
    """The new configuration, with the old values of what needs a restart."""
    before = by_url(old.listener)
    backends = {listener.backend.name: listener.backend for listener in old.listener}
    listeners = []
    for key, listener in by_url(new.listener).items():
        known = before.get(key)
        backend = backends.get(listener.backend.name, listener.backend)
        bind = known.bind if known is not None else listener.bind
        listeners.append(structs.replace(listener, backend=backend, bind=bind))
    kept = {name: getattr(old, name) for name in _AT_START}
    limits = _effective_limits(old.limits, new.limits)
    return structs.replace(new, listener=tuple(listeners), limits=limits, **kept)


def _effective_limits(old: Limits, new: Limits) -> Limits:
    groups = {}
    for group in structs.fields(Limits):
        before, after = getattr(old, group.name), getattr(new, group.name)
        if group.name not in LIVE_LIMITS:
            groups[group.name] = before
            continue
        live = LIVE_LIMITS[group.name]
        names = live if live is not None else [field.name for field in structs.fields(after)]
        groups[group.name] = structs.replace(
            before, **{name: getattr(after, name) for name in names}
        )
    return structs.replace(old, **groups)


def changes(old: Config, new: Config) -> list[Change]:
    """What differs, in the order of the file's tables. Of a listener or an upstream that is new or
    gone, these are the keys whose values are not the defaults."""
    taken = _flat(effective(old, new))
    before, after = _flat(old), _flat(new)
    return [
        _change(key, before.get(key, _ABSENT), after.get(key, _ABSENT), taken.get(key, _ABSENT))
        for key in [*before, *(key for key in after if key not in before)]
        if _differs(before.get(key), after.get(key))
    ]


def _differs(before: _Value | None, after: _Value | None) -> bool:
    if before is not None and after is not None:
        return bool(before.value != after.value)
    return not any(one.is_default for one in (before, after) if one is not None)


def _change(key: str, before: _Value, after: _Value, taken: _Value) -> Change:
    effect: Effect = "now" if taken.value == after.value else "restart"
    return Change(key, _shown(key, before.value), _shown(key, after.value), effect)


def _shown(key: str, value: Any) -> str:
    if value is None:
        return ""
    if _is_secret(key.rpartition(".")[2]):
        return _HIDDEN
    return msgspec.json.encode(_without_secrets(value)).decode()


def _is_secret(name: str) -> bool:
    return any(part in name for part in _SECRET)


def _without_secrets(value: Any) -> Any:
    """A value whose secrets are hidden, in the tables in it, too."""
    match value:
        case dict():
            return {
                name: _HIDDEN if _is_secret(name) else _without_secrets(one)
                for name, one in value.items()
            }
        case list() | tuple():
            return [_without_secrets(one) for one in value]
        case str():
            return without_user(value)
        case _:
            return value


def _flat(config: Config) -> dict[str, _Value]:
    """Each key of a configuration with its value."""
    found: dict[str, _Value] = {}
    for (url, place), listener in by_url(config.listener).items():
        name = f"listener {url}" + (f" ({place + 1})" if place else "")
        found |= _table(name, listener)
    for upstream in config.upstream:
        found |= _table(f"upstream {upstream.name}", upstream)
    for name in _AT_START:
        value = getattr(config, name)
        found |= _table(name, value) if isinstance(value, Struct) else {name: _Value(value)}
    for group in structs.fields(Limits):
        found |= _table(f"limits.{group.name}", getattr(config.limits, group.name))
    return found


def _table(name: str, table: Struct) -> dict[str, _Value]:
    return dict(_keys(name, table))


def _keys(name: str, table: Struct) -> Iterator[tuple[str, _Value]]:
    for field in structs.fields(table):
        value = getattr(table, field.name)
        if isinstance(value, Struct):
            yield from _keys(f"{name}.{field.encode_name}", value)
        else:
            is_default = value == _default(field)
            yield f"{name}.{field.encode_name}", _Value(msgspec.to_builtins(value), is_default)


def _default(field: structs.FieldInfo) -> Any:
    """The default of a field; `NODEFAULT`, which equals no value, if it has none."""
    if field.default_factory is not msgspec.NODEFAULT:
        return field.default_factory()
    return field.default
