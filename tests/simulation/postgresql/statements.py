"""What each statement of the store means."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Sequence
from typing import Any, Final

from holdfast.sessions.stores.postgres import connection, content, neighbours, opening, runs, store
from holdfast.sessions.stores.postgres.schema import (
    COMMIT,
    MISSING_RIGHTS,
    PLACE_BITS,
    PRODUCT,
    SCHEMA_VERSION,
)
from tests.simulation.postgresql.commits import commit
from tests.simulation.postgresql.rows import Row, Transaction, Values, row

Statement = Callable[..., list[Row]]
_NO_APPS: Final[Values] = {"apps": [], "accepts": False}


def _fenced(tx: Transaction, inc: int | None) -> bool:
    """Whether there is no such run that lives."""
    node = None if inc is None else tx.get("node", inc)
    return node is None or node["fenced"]


# --- a server, before it is used


def server(tx: Transaction) -> list[Row]:
    return [
        row(
            version=170_000,
            words="17.0",
            encoding="UTF8",
            read_only=False,
            replica=False,
            now=tx.tables.wall(),
        )
    ]


def nothing(tx: Transaction, *values: Any) -> list[Row]:
    return []


# --- runs


def register(tx: Transaction, name: str, host: str, process: str) -> list[Row]:
    inc = tx.tables.number("node")
    values = {"name": name, "host": host, "process": process, "beat": 0, "fenced": False}
    tx.put(
        "node", inc, {**values, "clean": False, "adopter": None, "link": "", "inc": inc} | _NO_APPS
    )
    return [row(inc=inc)]


def beat(tx: Transaction, inc: int) -> list[Row]:
    for key, node in tx.select("node", lambda _, node: not node["fenced"], keys=[inc]):
        tx.change("node", key, beat=node["beat"] + 1)
        return [row(written=tx.tables.written, flushed=tx.tables.flushed)]
    return []


def announce(tx: Transaction, inc: int, link: str, apps: list[str], accepts: bool) -> list[Row]:
    for key, _ in tx.select("node", lambda _, node: True, keys=[inc]):
        tx.change("node", key, link=link, apps=apps, accepts=accepts)
    return []


def others(tx: Transaction, inc: int) -> list[Row]:
    return [
        _columns(node, "inc", "name", "host", "process", "beat")
        for key, node in tx.all("node")
        if not node["fenced"] and key < inc
    ]


def watched(tx: Transaction, inc: int) -> list[Row]:
    return [
        _columns(
            node, "inc", "name", "host", "process", "beat", "fenced", "link", "apps", "accepts"
        )
        for key, node in tx.all("node")
        if key != inc and not (node["fenced"] and not _fenced(tx, node["adopter"]))
    ]


def fence(tx: Transaction, inc: int, seen: int) -> list[Row]:
    def silent(_: Any, node: Values) -> bool:
        return node["beat"] == seen and not node["fenced"]

    found = tx.select("node", silent, keys=[inc], skip_locked=True)
    for key, _ in found:
        tx.change("node", key, fenced=True)
    return [row(inc=key) for key, _ in found]


def adoptable(tx: Transaction) -> list[Row]:
    def left(_: Any, node: Values) -> bool:
        return node["fenced"] and _fenced(tx, node["adopter"])

    return [
        row(
            inc=key,
            name=node["name"],
            clean=node["clean"] or node["adopter"] is not None,
            new=node["adopter"] is None,
        )
        for key, node in tx.select("node", left, skip_locked=True)
    ]


def adopt(tx: Transaction, inc: int, incs: Collection[int]) -> list[Row]:
    for key, _ in tx.select("node", lambda key, _: key in incs):
        tx.change("node", key, adopter=inc)
    return []


def unask(tx: Transaction, incs: Collection[int]) -> list[Row]:
    asked = tx.select("move", lambda _, each: each["asker"] in incs or each["owner"] in incs)
    return _delete(tx, "move", asked)


def own(tx: Transaction, inc: int, incs: Collection[int]) -> list[Row]:
    return _give_to(
        tx, inc, tx.select("session", lambda _, s: s["owner"] in incs or s["owner"] is None)
    )


def _give_to(tx: Transaction, inc: int, sessions: Sequence[tuple[str, Values]]) -> list[Row]:
    for sid, session in sessions:
        tx.change("session", sid, owner=inc, gen=session["gen"] + 1)
    return [row(sid=sid, body=session["body"]) for sid, session in sessions]


def hear(tx: Transaction, inc: int, incs: Collection[int]) -> list[Row]:
    newest: dict[str, int] = {}
    for (each, instance), heard in tx.all("heard"):
        if each in incs:
            newest[instance] = max(newest.get(instance, 0), heard["number"])
    for instance, number in newest.items():
        tx.put("heard", (inc, instance), {"number": number})
    return []


def heard(tx: Transaction, incs: Collection[int]) -> list[Row]:
    return [
        row(inc=key[0], instance=key[1], number=one["number"])
        for key, one in tx.all("heard")
        if key[0] in incs
    ]


def heard_of(tx: Transaction, inc: int) -> list[Row]:
    return [
        row(instance=key[1], number=one["number"]) for key, one in tx.all("heard") if key[0] == inc
    ]


def with_journal(tx: Transaction, incs: Collection[int]) -> list[Row]:
    full = _with_journal(tx)
    return [row(inc=key) for key, _ in tx.all("node") if key in incs and key in full]


def _with_journal(tx: Transaction) -> set[int]:
    return {key[0] for key, _ in tx.all("journal")}


def forget_old(tx: Transaction, inc: int, kept: int) -> list[Row]:
    ended = [key for key, node in tx.all("node") if node["adopter"] == inc]
    old = set(ended[: max(0, len(ended) - kept)]) - _with_journal(tx)
    return _delete(tx, "node", tx.select("node", lambda key, _: key in old))


def forget_heard(tx: Transaction) -> list[Row]:
    known = {key for key, _ in tx.all("node")}
    return _delete(tx, "heard", tx.select("heard", lambda key, _: key[0] not in known))


# --- content


def mine(tx: Transaction, inc: int, sids: Sequence[str]) -> list[Row]:
    return [row(sid=sid) for sid, session in _some(tx, "session", sids) if session["owner"] == inc]


def journal(tx: Transaction, incs: Collection[int]) -> list[Row]:
    return [
        row(inc=key[0], number=key[1], body=entry["body"], shared=entry["shared"])
        for key, entry in tx.all("journal")
        if key[0] in incs
    ]


def pieces(
    tx: Transaction, places: Sequence[int], starts: Sequence[int], sizes: Sequence[int]
) -> list[Row]:
    found = []
    for place, start, size in zip(places, starts, sizes, strict=True):
        entry = tx.get("journal", _entry(place))
        if entry is not None:
            record = entry["body"][start : start + size]
            found.append(row(place=place, start=start, size=size, record=record))
    return found


def entries(tx: Transaction, places: Sequence[int]) -> list[Row]:
    found = ((place, tx.get("journal", _entry(place))) for place in places)
    return [
        row(place=place, body=entry["body"], shared=entry["shared"])
        for place, entry in found
        if entry is not None
    ]


def shared(tx: Transaction, places: Sequence[int]) -> list[Row]:
    found = ((place, tx.get("journal", _entry(place))) for place in places)
    return [row(place=place, shared=entry["shared"]) for place, entry in found if entry is not None]


def _entry(place: int) -> tuple[int, int]:
    inc = place >> PLACE_BITS
    return inc, place - (inc << PLACE_BITS)


def settings(tx: Transaction) -> list[Row]:
    return [row(key=key, value=setting["value"]) for key, setting in tx.all("setting")]


def orphans(tx: Transaction, sids: Sequence[str]) -> list[Row]:
    return [row(sid=sid, body=one["body"]) for sid, one in _some(tx, "snapshot", sorted(sids))]


def find(tx: Transaction, sids: Sequence[str]) -> list[Row]:
    found = []
    for sid, session in _some(tx, "session", sids):
        snapshot = tx.get("snapshot", sid) or {"body": None, "common": None}
        found.append(
            row(
                sid=sid,
                owner=session["owner"],
                gen=session["gen"],
                body=session["body"],
                snapshot=snapshot["body"],
                common=snapshot["common"],
            )
        )
    return found


def common(tx: Transaction, numbers: Sequence[int]) -> list[Row]:
    return [row(number=key, body=one["body"]) for key, one in _some(tx, "common", numbers)]


def drop_slice(tx: Transaction, incs: Collection[int], before: int) -> list[Row]:
    def old(key: Any, _: Values) -> bool:
        return key[0] in incs and (key[0] << PLACE_BITS) + key[1] < before

    return _delete(tx, "journal", tx.select("journal", old))


def drop_common(tx: Transaction) -> list[Row]:
    used = {snapshot["common"] for _, snapshot in tx.all("snapshot")}
    return _delete(tx, "common", tx.select("common", lambda key, _: key not in used))


def forget(tx: Transaction, inc: int) -> list[Row]:
    return _delete(tx, "node", tx.select("node", lambda *_: True, keys=[inc]))


# --- neighbours


def nodes(tx: Transaction, inc: int, limit: int) -> list[Row]:
    sessions = [session["owner"] for _, session in tx.all("session")]
    found = [
        row(
            name=node["name"],
            host=node["host"],
            since=0.0,
            here=key == inc,
            link=node["link"],
            inc=key,
            sessions=sessions.count(key),
        )
        for key, node in tx.all("node")
        if not node["fenced"]
    ]
    return found[:limit]


def rows_of(tx: Transaction, sids: Sequence[str]) -> list[Row]:
    return [row(sid=sid, body=session["body"]) for sid, session in _some(tx, "session", sids)]


def of_code(tx: Transaction, code: bytes) -> list[Row]:
    return [
        row(sid=sid)
        for sid, session in tx.all("session")
        if code and code in (session["code"], session["code_before"])
    ][:1]


def ask(tx: Transaction, inc: int, sids: Sequence[str], gens: Sequence[int]) -> list[Row]:
    gen_of = dict(zip(sids, gens, strict=True))
    for sid, session in _some(tx, "session", sorted(sids)):
        owner = session["owner"]
        if owner == inc or _fenced(tx, owner):
            continue
        tx.lock("move", sid)
        asked = tx.get("move", sid)
        request = _request(owner, inc, gen_of[sid])
        if asked is None or {**asked, "refused": False} != request:
            tx.put("move", sid, request)
    return []


def _request(owner: int, asker: int, gen: int = 0, *, offered: bool = False) -> Values:
    return {"owner": owner, "asker": asker, "gen": gen, "refused": False, "offered": offered}


def offer(tx: Transaction, inc: int, run: int, sids: Sequence[str]) -> list[Row]:
    for sid, session in _some(tx, "session", sorted(sids)):
        if session["owner"] != inc or _fenced(tx, run):
            continue
        tx.lock("move", sid)
        asked = tx.get("move", sid)
        if asked is None or asked["owner"] != inc or asked["offered"]:
            tx.put("move", sid, _request(inc, run, offered=True))
    return []


def accept(tx: Transaction, inc: int, limit: int) -> list[Row]:
    def offered(_: Any, each: Values) -> bool:
        return bool(each["asker"] == inc and each["offered"])

    keys = [sid for sid, each in tx.all("move") if offered(sid, each)][:limit]
    found = tx.select("move", offered, keys=keys, skip_locked=True)
    for sid, _ in found:
        tx.change("move", sid, offered=False)
    return [row(sid=sid) for sid, _ in found]


def request_end(tx: Transaction, sid: str) -> list[Row]:
    if tx.get("session", sid) is not None:
        tx.put("end", sid, {})
    return []


def owner(tx: Transaction, sid: str) -> list[Row]:
    return [
        row(owner=session["owner"], name=_name(tx, session["owner"]))
        for _, session in _some(tx, "session", [sid])
    ]


def forget_end(tx: Transaction, sid: str) -> list[Row]:
    return _delete(tx, "end", tx.select("end", lambda *_: True, keys=[sid]))


def ends(tx: Transaction, inc: int) -> list[Row]:
    asked = [sid for sid, _ in tx.all("end")]
    return [row(sid=sid) for sid, one in _some(tx, "session", asked) if one["owner"] == inc]


def of_others(tx: Transaction, inc: int, after: str, limit: int) -> list[Row]:
    found = [
        row(sid=sid, body=session["body"], name=_name(tx, session["owner"]))
        for sid, session in tx.all("session")
        if session["owner"] != inc and sid > after
    ]
    return found[:limit]


def _name(tx: Transaction, inc: int | None) -> str:
    node = None if inc is None else tx.get("node", inc)
    return "" if node is None else str(node["name"])


def where(tx: Transaction, inc: int, sids: Sequence[str]) -> list[Row]:
    found = []
    for sid, session in _some(tx, "session", sids):
        asked = tx.get("move", sid)
        ours = asked is not None and (asked["asker"], asked["owner"]) == (inc, session["owner"])
        refused = bool(ours and asked is not None and asked["refused"])
        found.append(row(sid=sid, here=session["owner"] == inc, refused=refused))
    return found


def withdraw(tx: Transaction, inc: int, sids: Sequence[str]) -> list[Row]:
    return _delete(tx, "move", tx.select("move", lambda _, m: m["asker"] == inc, keys=sids))


def asked(tx: Transaction, inc: int, limit: int) -> list[Row]:
    found = [
        row(asker=each["asker"], sid=sid, gen=each["gen"])
        for sid, each in tx.all("move")
        if each["owner"] == inc
        and not (each["refused"] or each["offered"])
        and not _fenced(tx, each["asker"])
        and (tx.get("session", sid) or {"owner": None})["owner"] == inc
    ]
    random.shuffle(found)
    return found[:limit]


def refuse(tx: Transaction, inc: int, sids: Sequence[str]) -> list[Row]:
    for sid, _ in tx.select("move", lambda _, each: each["owner"] == inc, keys=sids):
        tx.change("move", sid, refused=True)
    return []


def both(tx: Transaction, incs: Sequence[int]) -> list[Row]:
    found = tx.select("node", lambda _, node: not node["fenced"], keys=sorted(incs))
    return [row(inc=key) for key, _ in found]


def wanted(tx: Transaction, inc: int, run: int, sids: Sequence[str]) -> list[Row]:
    found = tx.select(
        "move", lambda _, each: (each["owner"], each["asker"]) == (inc, run), keys=sids
    )
    _delete(tx, "move", found)
    return [row(sid=sid) for sid, _ in found]


def give(tx: Transaction, inc: int, run: int, sids: Sequence[str]) -> list[Row]:
    return _give_to(tx, run, tx.select("session", lambda _, s: s["owner"] == inc, keys=sids))


# --- the store


def newest(tx: Transaction, inc: int) -> list[Row]:
    if not any(key == inc and not node["fenced"] for key, node in tx.all("node")):
        return []
    numbers = [key[1] for key, _ in tx.all("journal") if key[0] == inc]
    return [row(newest=max(numbers, default=0))]


def repossess(tx: Transaction, inc: int, sids: list[str]) -> list[Row]:
    for key, session in tx.select("session", lambda _, each: each["owner"] != inc, keys=sids):
        tx.change("session", key, owner=inc, gen=session["gen"] + 1)
    return []


def close(tx: Transaction, inc: int, clean: bool) -> list[Row]:
    for key, _ in tx.select("node", lambda _, node: not node["fenced"], keys=[inc]):
        tx.change("node", key, fenced=True, clean=clean)
    return []


def claim(tx: Transaction, inc: int, sids: Sequence[str]) -> list[Row]:
    _give_to(tx, inc, tx.select("session", lambda _, s: s["owner"] is None, keys=sids))
    return []


def living(tx: Transaction, inc: int) -> list[Row]:
    return [] if _fenced(tx, inc) else [row(one=1)]


# ---


def _columns(values: Values, *names: str) -> Row:
    return row(**{name: values[name] for name in names})


def _some(tx: Transaction, table: str, keys: Sequence[Any]) -> list[tuple[Any, Values]]:
    found = ((key, tx.get(table, key)) for key in dict.fromkeys(keys))
    return [(key, values) for key, values in found if values is not None]


def _delete(tx: Transaction, table: str, found: Sequence[tuple[Any, Values]]) -> list[Row]:
    for key, _ in found:
        tx.delete(table, key)
    return [row(key=key) for key, _ in found]


STATEMENTS: Final[dict[str, Statement]] = {
    "SELECT pg_backend_pid()": lambda tx: [row(pid=1)],
    "SELECT 1 FROM holdfast.node WHERE inc = $1 AND NOT fenced": living,
    connection._TYPES: nothing,
    connection.NUMBER: lambda tx: [row(number=tx.number())],
    connection._STATUS: lambda tx, number: [row(status=tx.tables.outcomes.get(number))],
    opening._SERVER: server,
    opening._WHOSE: lambda tx: [row(ours=True, others=[])],
    opening._VERSION: lambda tx: [row(product=PRODUCT, number=SCHEMA_VERSION)],
    opening._HAS_SCHEMA: lambda tx: [row(count=1)],
    opening._MAY_USE: lambda tx: [row(may=True)],
    MISSING_RIGHTS: nothing,
    runs._REGISTER: register,
    runs.BEAT: beat,
    runs.ANNOUNCE: announce,
    runs._OTHERS: others,
    runs._WATCHED: watched,
    runs._FENCE: fence,
    runs._ADOPTABLE: adoptable,
    runs._ADOPT: adopt,
    runs._UNASK: unask,
    runs._OWN: own,
    runs._HEAR: hear,
    runs._HEARD: heard,
    runs._HEARD_OF: heard_of,
    runs._WITH_JOURNAL: with_journal,
    runs._FORGET_OLD: forget_old,
    runs._FORGET_HEARD: forget_heard,
    content._MINE: mine,
    content._JOURNAL: journal,
    content._PIECES: pieces,
    content._ENTRIES: entries,
    content._SHARED: shared,
    content._SETTINGS: settings,
    content._ORPHANS: orphans,
    content._FIND: find,
    content._COMMON: common,
    content._DROP_SLICE: drop_slice,
    content._DROP_COMMON: drop_common,
    neighbours._NODES: nodes,
    neighbours._ROWS: rows_of,
    neighbours._OF_CODE: of_code,
    neighbours._ASK: ask,
    neighbours._WHERE: where,
    neighbours._WITHDRAW: withdraw,
    neighbours._ASKED: asked,
    neighbours._OFFER: offer,
    neighbours._ACCEPT: accept,
    neighbours._REQUEST_END: request_end,
    neighbours._OWNER: owner,
    neighbours._FORGET_END: forget_end,
    neighbours._ENDS: ends,
    neighbours._OF_OTHERS: of_others,
    neighbours._REFUSE: refuse,
    neighbours._BOTH: both,
    neighbours._WANTED: wanted,
    neighbours._GIVE: give,
    store._NEWEST: newest,
    store._REPOSSESS: repossess,
    store._CLOSE: close,
    store._CLAIM: claim,
    store._FORGET: forget,
    COMMIT: commit,
}
"""By their text."""
