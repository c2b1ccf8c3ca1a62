"""The progress of each run of an application: the counts that both ends of a link agree on.

An application numbers its outputs over one run (an *instance*), and discards them once they are
durable here. Either side may have lost its state: a gateway without a store was killed, a store
was deleted or is an older copy, an instance was away for so long that it was forgotten. `hello`
names the outputs that the application still has, and the numbering continues from there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from holdfast.core.clock import Clock
from holdfast.core.limits import LinkLimits
from holdfast.link.messages import Hello
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.journal import Journal

_log: Final = RateLimitedLogger("holdfast.link")

_SEPARATOR: Final = "/"
"""Between application and instance in the store's keys; no instance may have it in its name."""


class RunProgress(NamedTuple):
    """What the gateway has of the outputs of one run."""

    accepted: int
    """The newest output that was accepted: an older one is a repeat."""
    durable: int
    """The newest output that is stored: a newer one is to be sent again."""
    forgotten: int = 0
    """How many accepted outputs are lost."""
    fresh: bool = False
    """Whether only another run of this node can know of earlier outputs."""


_NEW: Final = RunProgress(0, 0)


class _Gone(NamedTuple):
    heard: RunProgress
    since: float


class Runs:
    """The instances of the application `app` that are not linked. All times are wall clock."""

    def __init__(self, app: str, journal: Journal, limits: LinkLimits, clock: Clock) -> None:
        self._app = app
        self._journal = journal
        self._limits = limits
        self._clock = clock
        self._gone: dict[str, _Gone] = {}
        """In the order in which they were linked last."""

    def key(self, instance: str) -> str:
        """The store's key for an instance."""
        return f"{self._app}{_SEPARATOR}{instance}"

    def restore(self, accepted: Mapping[str, int]) -> None:
        """Take what an earlier gateway has accepted, by key."""
        now = self._clock()
        for key, bseq in accepted.items():
            app, instance = split_key(key)
            if not app:  # as older versions kept it
                self._journal.accept(self.key(instance), bseq)
                self._journal.forget(key)
            elif app != self._app:
                continue
            self._gone[instance] = _Gone(RunProgress(bseq, bseq), now)

    def begin(self, hello: Hello, node_run: int = 0) -> RunProgress:
        """An instance links to this run of the node: return where its outputs continue."""
        gone = self._gone.pop(hello.instance, None)
        self._forget_old()
        heard = gone.heard if gone is not None else _NEW
        before = hello.oldest - 1
        if gone is None and hello.run not in (0, node_run):
            self._journal.accept(self.key(hello.instance), before)
            return RunProgress(before, before, fresh=True)
        if hello.oldest < 1 or before <= heard.accepted <= hello.sent:
            return heard._replace(durable=max(heard.durable, before), forgotten=0)
        forgotten = max(0, before - heard.accepted)
        _log.warning(
            "output position of an instance differs",
            app=hello.app,
            instance=hello.instance,
            known=heard.accepted,
            sent=hello.sent,
            next=hello.oldest,
            forgotten=forgotten,
        )
        self._journal.accept(self.key(hello.instance), before)
        return RunProgress(before, before, forgotten)

    def end(self, instance: str, heard: RunProgress) -> None:
        """An instance is not linked any more."""
        self._gone[instance] = _Gone(heard, self._clock())

    def stored(self, instance: str, bseq: int) -> None:
        """Outputs up to `bseq` of an instance that is not linked are durable."""
        gone = self._gone.get(instance)
        if gone is not None:
            self._gone[instance] = gone._replace(heard=gone.heard._replace(durable=bseq))

    def _forget_old(self) -> None:
        limit = self._clock() - self._limits.run_seconds_max
        excess = len(self._gone) - self._limits.runs_max
        for name, gone in list(self._gone.items()):
            if gone.since >= limit and excess <= 0:
                break
            excess -= 1
            del self._gone[name]
            self._journal.forget(self.key(name))


def split_key(key: str) -> tuple[str, str]:
    """The application and the instance in a key of the store."""
    app, _, instance = key.rpartition(_SEPARATOR)
    return app, instance


def is_instance_name(name: str) -> bool:
    """Whether the name of an instance is valid."""
    return 0 < len(name) <= 128 and _SEPARATOR not in name and name.isprintable()
