"""Kill, stop, replace and cut everything again and again under load, and count what is lost.

Clients that resume type numbered commands all the time; people at lines
listen to a ticker. After the last blow everything must have been done once and
in order, and everything that was said must have been shown once, or the client
was told that it may be missing.

With `--cluster`, there are three gateways on one PostgreSQL database: one of them is killed, all
are restarted one after the other, or the database is away.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Final

from tests import postgresql
from tests.postgresql import REAL

from bench import harness
from bench.chaos.plan import Plan
from bench.chaos.run import broken, torment
from holdfast.net.runtime.loop import run as run_loop

NODES: Final = 3

__all__ = ["Plan", "broken", "main", "torment"]


def _plans(kills: int, load: dict[str, Any]) -> dict[str, Plan]:
    few = max(1, kills // 10)
    return {
        "application": Plan("application", "fast", kills, **load),
        "durable": Plan("gateway", "durable", kills, **load),
        "fast": Plan("gateway", "fast", kills, **load),
        "memory": Plan("gateway", "memory", kills, **load),
        "deploy": Plan("deploy", "fast", few, **load),
        "freeze": Plan("freeze", "fast", max(1, few // 3), **load),
        "replay": Plan("replay", "durable", kills, **load),
        "poison": Plan("poison", "fast", few, **load),
    }


def _cluster_plans(kills: int, load: dict[str, Any]) -> dict[str, Plan]:
    every = {"nodes": NODES, "tick_seconds": 0.5, "pause_seconds": 2.0, **load}
    return {
        "durable": Plan("node", "durable", kills, **every),
        "fast": Plan("node", "fast", kills, **every),
        "rolling": Plan("rolling", "fast", max(1, kills // 10), **every),
        "database": Plan("database", "durable", max(1, kills // 10), away_seconds=10.0, **every),
    }


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--cluster", action="store_true", help="several gateways")
    parser.add_argument("--kills", type=int, help="100; of one of several gateways, 50")
    parser.add_argument("--clients", type=int, help="200; with several gateways, 300")
    parser.add_argument("--rate", type=float, help="commands a second of each client: 20, or 10")
    parser.add_argument("--logs", default="", help="a folder for the logs of all programs")
    parser.add_argument("--only", choices=[*_plans(1, {}) | _cluster_plans(1, {})])
    options = parser.parse_args(arguments)
    if options.logs:
        Path(options.logs).mkdir(parents=True, exist_ok=True)
    kills, clients, rate = (50, 300, 10.0) if options.cluster else (100, 200, 20.0)
    load = {
        "clients": options.clients or clients,
        "commands_per_second": options.rate or rate,
        "logs": options.logs,
    }
    make = _cluster_plans if options.cluster else _plans
    plans = make(options.kills or kills, load)
    failed = False
    with ExitStack() as stack:
        cluster = stack.enter_context(postgresql.running(**REAL)) if options.cluster else None
        for name, plan in plans.items():
            if options.only in (None, name):
                row = run_loop(torment(plan, cluster))
                failed = failed or bool(broken(row))
                harness.show(f"Chaos: {name}", [row], as_json=options.json)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
