"""Carries out what the answers of an application ask for."""

from __future__ import annotations

from typing import Final

from holdfast.backends.http.bodies import Answer, read_answer, read_error
from holdfast.backends.http.outcome import Outcome
from holdfast.backends.http.requester import Reply
from holdfast.core.clock import Clock
from holdfast.core.errors import Reason
from holdfast.core.items import MUST, Notice
from holdfast.core.limits import HttpLimits
from holdfast.core.validation import UnsendableError
from holdfast.net.log import RateLimitedLogger
from holdfast.sessions.port import Caller, SessionPort
from holdfast.sessions.session import Session

_log: Final = RateLimitedLogger("holdfast.http_backend")

UNREADABLE: Final = Notice("The application's answer could not be read.")
REFUSED: Final = "The application refused what you typed"


class Answers(Caller):
    """The answers of one application: it numbers the changes that they ask for."""

    __slots__ = ("_clock", "_limits", "_port")

    def __init__(self, name: str, port: SessionPort, limits: HttpLimits, clock: Clock) -> None:
        super().__init__(f"{name}/answers")
        self._port = port
        self._limits = limits
        self._clock = clock

    def refuse(self, number: int, fault: str, *, unknown: bool = False) -> None:
        _log.error("part of an answer refused", app=self.caller_key, fault=fault)

    def carry_out(self, session: Session, reply: Reply, outcome: Outcome, *, typed: bool) -> None:
        """Carry out the answer to a request. `typed`: with commands of the user."""
        if outcome is Outcome.REFUSED:
            self._tell_refusal(session, reply, typed=typed)
            return
        try:
            if reply.too_large:
                raise UnsendableError(
                    f"expected at most {self._limits.answer_bytes_max} bytes; found more"
                )
            checked = read_answer(reply.body, self._port.limits, self._limits)
        except UnsendableError as error:
            _log.error("malformed answer", session=session.sid, fault=str(error)[:300])
            if typed:
                self._port.emit(session, UNREADABLE, MUST, self._clock())
            return
        now = self._clock()
        self._change(session, checked.answer)
        for item, delivery in checked.outputs:
            self._port.emit(session, item, delivery, now)
        if checked.answer.close is not None:
            self._port.close(session, Reason(checked.answer.close))

    def _change(self, session: Session, answer: Answer) -> None:
        port, sid = self._port, session.sid
        stored = bytes(answer.store) or None
        if answer.identify is not None or answer.profile is not None or stored is not None:
            port.update(
                self,
                self.accepted + 1,
                sid,
                user=answer.identify,
                profile=answer.profile,
                data=stored,
            )
        for group in answer.join:
            port.join(self, self.accepted + 1, group, [sid])
        for group in answer.leave:
            port.leave(self, self.accepted + 1, group, [sid])
        if answer.input_mode is not None:
            port.change_input_mode(self, self.accepted + 1, sid, answer.input_mode)

    def _tell_refusal(self, session: Session, reply: Reply, *, typed: bool) -> None:
        _log.warning("request refused", session=session.sid, status=reply.status)
        if typed:
            said = read_error(reply.body)
            text = f"{REFUSED}: {said}" if said else f"{REFUSED} (status {reply.status})."
            self._port.emit(session, Notice(text), MUST, self._clock())
