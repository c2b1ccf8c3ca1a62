"""What is never asked of an adapter whose client counts neither outputs nor commands."""

from __future__ import annotations

from holdfast.gateway.adapters.notifications import Restart


class Uncounted:
    """Says so, where somebody asks all the same."""

    __slots__ = ()

    def restart(self, restart: Restart) -> None:
        raise AssertionError("a client that does not count is never ahead")

    def acknowledge(self, cin: int) -> None:
        raise AssertionError("a client that does not number is told of no numbers")

    def heartbeat(self) -> None:
        raise AssertionError("a client that cannot be pinged")

    def ask_resend(self, c: int) -> None:
        raise AssertionError("a client that does not number cannot leave a gap")

    def tell_code(self, code: str) -> None:
        raise AssertionError("a terminal is shown its code unasked")

    def tell_token(self, sid: str, token: str, epoch: str, seq: int) -> None:
        raise AssertionError("a client that does not count needs no token")
