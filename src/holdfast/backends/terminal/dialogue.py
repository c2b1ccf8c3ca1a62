"""What a user is asked before there is a terminal: one question at a time.

A question is a state and no output: a client that comes back is asked again. A terminal's page is
told it as `Data`; a person at a line terminal reads a prompt.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Final

import msgspec
from msgspec import Struct

from holdfast.core.items import Data, Notice, Output, Prompt

PROMPT: Final = "Terminal.Prompt"


class Question(Struct, frozen=True):
    """One question. `kind` is for programs: `target`, `user`, `hostkey`, `key`, `passphrase`,
    `password` or `prompt`."""

    kind: str
    text: str
    echo: bool = True
    choices: Sequence[str] = ()


class Dialogue:
    """The questions of one terminal.

    `show` shows the client an item, if there is one; `set_input_mode` says how it takes typing;
    `asked` is called when a question is open: its answer may have been typed ahead.
    `clicks` is whether the client is a page, which can answer with more than a line; `network`
    is where it is.
    """

    def __init__(
        self,
        show: Callable[[Output], None],
        set_input_mode: Callable[[str], None],
        asked: Callable[[], None],
        *,
        clicks: bool,
        network: str,
    ) -> None:
        self._show = show
        self._set_input_mode = set_input_mode
        self._asked = asked
        self._question: Question | None = None
        self._answer: asyncio.Future[str] | None = None
        self.clicks = clicks
        self.network = network

    @property
    def asking(self) -> bool:
        """Whether an answer is awaited."""
        return self._answer is not None and not self._answer.done()

    async def ask(self, question: Question) -> str:
        """The user's answer."""
        self._question = question
        self._answer = asyncio.get_running_loop().create_future()
        self._set_input_mode("line" if question.echo else "secret")
        self.repeat()
        self._asked()
        try:
            return await self._answer
        finally:
            self._question = self._answer = None
            self._set_input_mode("line")

    def answer(self, text: str) -> None:
        """The user has answered."""
        if self._answer is not None and self.asking:
            self._answer.set_result(text)

    def fail(self, error: Exception) -> bool:
        """End the open question with `error`. False if there is none."""
        if self._answer is None or self._answer.done():
            return False
        self._answer.set_exception(error)
        return True

    def repeat(self) -> None:
        """Show the question that is open, to a client that may not have seen it."""
        question = self._question
        if question is None:
            return
        json = msgspec.json.encode(question).decode()
        self._show(Data(PROMPT, json))
        choices = f" ({', '.join(question.choices)})" if question.choices else ""
        self._show(Prompt(f"{question.text}{choices}: "))

    def tell(self, text: str) -> None:
        """Tell the user something."""
        self._show(Notice(text))
