"""Kill, stop, replace and cut everything again and again under load, and count what is lost.

Clients that resume type numbered commands all the time; people at lines
listen to a ticker. After the last blow everything must have been done once and
in order, and everything that was said must have been shown once, or the client
was told that it may be missing.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any

from bench import harness
from bench.chaos.plan import Plan
from bench.chaos.run import broken, torment
from holdfast.net.runtime.loop import run as run_loop

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


def main(arguments: Sequence[str]) -> int:
    parser = harness.parser(__doc__)
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--clients", type=int, default=200)
    parser.add_argument("--rate", type=float, default=20.0, help="commands a second of each client")
    parser.add_argument("--only", choices=[*_plans(1, {})])
    options = parser.parse_args(arguments)
    load = {"clients": options.clients, "commands_per_second": options.rate}
    failed = False
    for name, plan in _plans(options.kills, load).items():
        if options.only in (None, name):
            row = run_loop(torment(plan))
            failed = failed or bool(broken(row))
            harness.show(f"Chaos: {name}", [row], as_json=options.json)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
