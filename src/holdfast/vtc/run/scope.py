"""The environment of a running command."""

from __future__ import annotations

from typing import Generic, TypeVar

from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.source import Token
from holdfast.vtc.run.activity import Activity
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.log import Logger

S = TypeVar("S")


class Scope(Activity, Generic[S]):
    """Gives a command its test case, its log and the subject of its context.

    The subject is the HTTP connection, the stream, the tunnel, and so on; at top level it is
    the case.
    """

    def __init__(self, case: Case, context: Context, subject: S, log: Logger) -> None:
        super().__init__(case.processor.now())
        self.case = case
        self.context = context
        self.subject = subject
        self.log = log
        self.include_depth = 0
        self.next_name = ""
        """The name of the next command in the same specification; empty for the last one."""

    def failure(self, reason: str, token: Token | None = None, *notes: Note) -> Failure:
        """Log a failure of this actor and return it, to be raised."""
        return self.case.failure(
            self.log, reason, token.position() if token else self.position, notes
        )

    def checked(self) -> None:
        """Count the current command as an expectation that held."""
        if self.position:
            self.case.checks.append(self.position)
