"""What is done to whom."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Target = Literal[
    "application", "gateway", "deploy", "freeze", "replay", "poison", "node", "rolling", "database"
]


@dataclass(frozen=True)
class Plan:
    """One run."""

    target: Target
    """`application`, `gateway`: it is killed. `deploy`: instances are replaced, each by one that is
    started before it is stopped. `freeze`: an instance is stopped for a while, and woken.
    `replay`: people at lines are cut in the middle of what they are shown again. `poison`: a
    command ends whichever instance begins it. `node`: one of several gateways on one PostgreSQL
    database is killed, in turns as on the machine of the others, who see its end at once, and as on
    another machine, where its lease must pass. `rolling`: all gateways are restarted, one after the
    other, and at the same time all instances are replaced. `database`: PostgreSQL is killed, as
    with `pg_ctl restart -m immediate`, and is away for a while."""
    durability: str = "durable"
    """`memory`: there is no store."""
    kills: int = 100
    """How often it is done."""
    clients: int = 200
    listeners: int = 20
    commands_per_second: float = 20.0
    pause_seconds: float = 0.5
    """Between two of them, on average."""
    nodes: int = 1
    """Gateways. Several have one PostgreSQL database."""
    tick_seconds: float = 0.05
    """Between two ticks of an instance of the application, to everybody."""
    logs: str = ""
    """A folder that gets the logs of all programs."""
    away_seconds: float = 0.0
    """How long PostgreSQL is away, from its end to its start."""
    frozen_seconds: float = 10.0
    """How long an instance stands still at least; it is woken when its sessions have moved."""

    @property
    def instances(self) -> int:
        """How many instances of the application there are."""
        return 1 if self.target in ("application", "gateway", "replay", "poison") else 2
