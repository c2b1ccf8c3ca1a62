"""The last lines of the terminal: the state of the connection, the prompt and what is typed."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterable
from typing import Final

from prompt_toolkit import history as toolkit
from prompt_toolkit.application import get_app
from prompt_toolkit.buffer import Buffer
from prompt_toolkit.completion import CompleteEvent, get_common_complete_suffix
from prompt_toolkit.filters import Condition, is_searching
from prompt_toolkit.formatted_text import ANSI
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent
from prompt_toolkit.layout import (
    BufferControl,
    CompletionsMenu,
    ConditionalContainer,
    Dimension,
    Float,
    FloatContainer,
    FormattedTextControl,
    HSplit,
    Layout,
    Window,
)
from prompt_toolkit.layout.processors import BeforeInput, PasswordProcessor
from prompt_toolkit.widgets import SearchToolbar

from holdfast.cli.terminal.completion import Commands
from holdfast.cli.terminal.dialogue import QUIT
from holdfast.cli.terminal.history import History
from holdfast.cli.terminal.outage import Outage
from holdfast.cli.terminal.text import Printable
from holdfast.gateway.adapters.wrapping import wrap

_MENU_ROWS: Final = 6


class Recall(toolkit.History):
    """The history, as the editor asks for it."""

    def __init__(self, history: History) -> None:
        super().__init__()
        self._history = history

    async def load(self) -> AsyncGenerator[str, None]:
        for line in self.load_history_strings():
            yield line

    def get_strings(self) -> list[str]:
        return [*self._history.lines]

    def append_string(self, string: str) -> None:
        self.store_string(string)

    def load_history_strings(self) -> Iterable[str]:
        return self.get_strings()[::-1]

    def store_string(self, string: str) -> None:
        self._history.add(string)


class InputArea:
    """What is typed, and what stands before it.

    Hidden lines have a buffer of their own: they are in no history, undo or completion.
    """

    def __init__(self, history: History, printable: Printable) -> None:
        self.prompt = ""
        self.outage: Outage | None = None
        self.hidden = False
        self._printable = printable
        words = (line.partition(" ")[0] for line in history.lines)
        self.commands = Commands(QUIT)
        for word in words:
            self.commands.learn(word)
        self._line = Buffer(
            history=Recall(history),
            completer=self.commands,
            enable_history_search=True,
            multiline=False,
        )
        self._secret = Buffer(multiline=False)
        self._search = SearchToolbar()
        before = BeforeInput(self._prompt)
        self._line_window = _window(
            self._line,
            BufferControl(self._line, [before], search_buffer_control=self._search.control),
        )
        self._secret_window = _window(
            self._secret, BufferControl(self._secret, [PasswordProcessor(), before])
        )
        self.layout = Layout(self._container(), self._line_window)

    @property
    def is_empty(self) -> bool:
        """Whether nothing is typed."""
        return not (self._secret if self.hidden else self._line).text

    def hide(self, hidden: bool) -> None:
        """Hide what is typed, or show it again. A hidden line that is not ended is dropped."""
        if hidden is self.hidden:
            return
        self.hidden = hidden
        if hidden:  # the beginning may be typed already
            self._secret.text = self._line.text
            self._secret.cursor_position = len(self._secret.text)
            self._line.reset()
        else:
            self._secret.reset()
        self.layout.focus(self._secret_window if hidden else self._line_window)

    def take(self) -> str:
        """End the line; returns what was typed, several lines if they were pasted."""
        buffer = self._secret if self.hidden else self._line
        text = buffer.text = buffer.text.removesuffix("\n")
        if not self.hidden:
            buffer.append_to_history()
            self.commands.learn(text.partition(" ")[0])
        buffer.reset()
        return text

    def _container(self) -> FloatContainer:
        hidden = Condition(lambda: self.hidden)
        state = FormattedTextControl(lambda: [("bold", self._state())])
        rows = HSplit(
            [
                ConditionalContainer(
                    Window(state, wrap_lines=True, dont_extend_height=True),
                    Condition(lambda: self.outage is not None),
                ),
                ConditionalContainer(self._secret_window, hidden),
                ConditionalContainer(self._line_window, ~hidden),
                self._search,
            ]
        )
        menu = CompletionsMenu(max_height=_MENU_ROWS)
        return FloatContainer(rows, [Float(menu, xcursor=True, ycursor=True)])

    def _prompt(self) -> ANSI:
        return ANSI(self._printable.once(self.prompt))

    def _state(self) -> str:
        if self.outage is None:
            return ""
        return wrap(self.outage.line(time.monotonic()), get_app().output.get_size().columns)


def _window(buffer: Buffer, control: BufferControl) -> Window:
    def height() -> Dimension:
        if buffer.complete_state is None:
            return Dimension()
        return Dimension(min=_MENU_ROWS + 1)

    return Window(control, height=height, wrap_lines=True, dont_extend_height=True)


def _complete(buffer: Buffer) -> None:
    """Type what all completions begin with; show them if there are several."""
    if buffer.complete_state is not None:
        buffer.complete_next()
        return
    found = [*buffer.completer.get_completions(buffer.document, CompleteEvent())]
    buffer.insert_text(get_common_complete_suffix(buffer.document, found))
    if len(found) > 1:
        buffer.start_completion()


def keys(
    accept: Callable[[], None], interrupt: Callable[[], None], leave: Callable[[], None],
    is_empty: Callable[[], bool],
) -> KeyBindings:  # fmt: skip
    """The keys that are not the editor's own."""
    bindings = KeyBindings()

    @bindings.add("enter", filter=~is_searching)
    def _(event: KeyPressEvent) -> None:
        state = event.current_buffer.complete_state
        if state is not None and state.current_completion is not None:
            event.current_buffer.complete_state = None  # it is chosen
        else:
            accept()

    @bindings.add("tab", filter=~is_searching)
    def _(event: KeyPressEvent) -> None:
        _complete(event.current_buffer)

    @bindings.add("c-c")
    def _(event: KeyPressEvent) -> None:
        interrupt()

    @bindings.add("c-d", filter=Condition(is_empty))
    def _(event: KeyPressEvent) -> None:
        leave()

    @bindings.add("c-z")
    def _(event: KeyPressEvent) -> None:
        event.app.suspend_to_background()

    return bindings
