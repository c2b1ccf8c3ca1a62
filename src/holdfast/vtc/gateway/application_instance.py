"""An application by name: a Python program that links to a gateway."""

from __future__ import annotations

import os
from collections.abc import Sequence
from textwrap import dedent
from typing import ClassVar

from holdfast.app.app import LINK_VARIABLE, SECRET_VARIABLE
from holdfast.vtc.actors.program_run import ProgramKind
from holdfast.vtc.gateway.program_instance import ProgramInstance, program
from holdfast.vtc.language.errors import Failure
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.case import Case


class ApplicationInstance(ProgramInstance):
    """An application by name. It is ready when it is linked."""

    kind: ClassVar[str] = "application"
    program: ClassVar[ProgramKind] = program("application", r"^\w*Error\b.*$")

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.link = ""
        self.secret = ""
        self._file = ""

    def take(self, word: Token) -> None:
        """Run this file; a word of several lines is the program itself."""
        self._file = os.fsdecode(self.case.path(word))
        if "\n" in word:
            self._file = f"{self.directory}/app.py"
            with open(self._file, "wb") as file:
                file.write(dedent(word).encode(ENCODING))

    def _argv(self) -> Sequence[str]:
        if not self._file:
            raise Failure(f"application {self.name} has no program")
        if not self.link:
            raise Failure(f"application {self.name} has no -link")
        return (self._file,)

    def _environment(self) -> dict[str, str]:
        return {LINK_VARIABLE: self.link, SECRET_VARIABLE: self.secret}

    def _is_ready(self, output: str) -> bool:
        return '"event": "linked"' in output
