"""The commands that all conversations have, made for each protocol from its kinds of messages."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, NamedTuple, TypeVar

from holdfast.vtc.dialogue.conversation import Conversation
from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.expectation import check_expect, expect
from holdfast.vtc.language.numbers import unhex
from holdfast.vtc.language.patterns import PatternError, compile_pattern, matches
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.scope import Scope

C = TypeVar("C", bound=Conversation)

_UNTIL = "-until"


class SendableMessage(NamedTuple, Generic[C]):
    """A kind of message that can be sent."""

    usage: str
    """The words after the kind; optional ones in brackets."""
    text: str
    send: Callable[[Scope[C], list[Token]], Awaitable[None]]


def commands(
    sent: Mapping[str, SendableMessage[C]],
    received: Mapping[str, str],
    values: Mapping[str, str],
    example: str,
) -> tuple[Command, ...]:
    """A protocol's commands, from what can be sent, received and compared, each with its text."""
    return (
        _tx(sent, example),
        _rx(received, example),
        Command(
            name="expect",
            run=_expect,
            check=check_expect,
            usage="LEFT OPERATOR RIGHT",
            text="Compare two words, as in the specification of a `client`. Values of the last "
            "message are `rx.text`, `rx.kind` and, where it holds JSON, `rx.json.NAME` "
            "(`rx.json.list.0.name` looks inside)."
            + "".join(f" `{name}` is {text}." for name, text in values.items()),
            words_min=3,
            words_max=3,
            example=example,
        ),
        *_plain_commands(),
    )


# --- tx and rx


def _tx(sent: Mapping[str, SendableMessage[C]], example: str) -> Command:
    def look_up(args: Args) -> tuple[SendableMessage[C], list[Token]]:
        words = args.plain()
        kind = _known(words[0], sent)
        wanted = kind.usage.split()
        least = sum(not word.startswith("[") for word in wanted)
        if not least <= len(words) - 1 <= len(wanted):
            text = f"tx {words[0]}: found {len(words) - 1} words, expected {kind.usage or 'none'}"
            raise Failure(text, words[0].position())
        return kind, words[1:]

    async def run(scope: Scope[C], args: Args) -> None:
        kind, words = look_up(args)
        scope.log.dump(4, "tx", " ".join(args.words))
        await kind.send(scope, words)
        await scope.subject.flush(scope)

    def check(args: Args) -> None:
        if "${" not in args.words[0]:
            look_up(args)

    shown = {f"{name} {kind.usage}".rstrip(): kind.text for name, kind in sent.items()}
    return Command(
        name="tx",
        run=run,
        check=check,
        usage="KIND WORD...",
        text=f"Send a message.\n\n{_listed(shown)}",
        words_min=1,
        words_max=None,
        example=example,
    )


class _Wanted(NamedTuple):
    """What `rx` is to receive."""

    kind: Token
    text: Token | None = None
    pattern: Token | None = None


def _wanted(args: Args) -> _Wanted:
    # No options: a text may begin with a hyphen.
    kind, *rest = args.plain()
    if len(rest) < 2:
        return _Wanted(kind, *rest)
    if rest[0] != _UNTIL:
        raise args.unknown(rest[1])
    return _Wanted(kind, pattern=rest[1])


def _rx(received: Mapping[str, str], example: str) -> Command:
    def check(args: Args) -> None:
        wanted = _wanted(args)
        if "${" not in wanted.kind:
            _known(wanted.kind, received)
        if wanted.pattern is not None and "${" not in wanted.pattern:
            _compilable(wanted.pattern)

    async def run(scope: Scope[Conversation], args: Args) -> None:
        wanted = _wanted(args)
        _known(wanted.kind, received)
        await _receive(scope, wanted)
        scope.checked()

    return Command(
        name="rx",
        run=run,
        check=check,
        usage=f"KIND [TEXT | {_UNTIL} PATTERN]",
        text="Receive the next message. It must be of this kind, and TEXT if that is given. With "
        f"`{_UNTIL}` messages are passed over until one of this kind comes in which the pattern "
        f"is found.\n\n{_listed(received)}",
        words_min=1,
        words_max=3,
        example=example,
    )


def _listed(entries: Mapping[str, str]) -> str:
    return "\n".join(f"- `{name}`: {text}" for name, text in entries.items())


V = TypeVar("V")


def _known(word: Token, kinds: Mapping[str, V]) -> V:
    if word not in kinds:
        raise Failure(f"unknown kind {word}: it is one of {' '.join(kinds)}", word.position())
    return kinds[word]


def _compilable(pattern: Token) -> None:
    try:
        compile_pattern(pattern)
    except PatternError as error:
        raise Failure(f"REGEXP error: {error}", pattern.position()) from None


async def _receive(scope: Scope[Conversation], wanted: _Wanted) -> None:
    conversation = scope.subject
    if wanted.pattern is not None:
        _compilable(wanted.pattern)
        pattern = str(wanted.pattern)
        try:
            await conversation.receive(scope, wanted.kind, lambda text: matches(pattern, text))
        except PatternError as error:
            raise scope.failure(f"REGEXP error: {error}", wanted.pattern) from None
    elif wanted.text is not None:
        await _receive_text(scope, wanted.kind, wanted.text)
    else:
        await conversation.receive(scope, wanted.kind)


async def _receive_text(scope: Scope[Conversation], kind: Token, text: Token) -> None:
    conversation = scope.subject
    found = await conversation.receive_whole(scope, kind, text)
    if found.text != text:
        sides = Note("sides", f"left:  {found.text}\nright: {text}")
        reason = f"rx {kind}: received {found.text!r}, expected {str(text)!r}"
        raise scope.failure(reason, text, sides, *conversation.notes())


# --- the others


async def _expect(scope: Scope[Conversation], args: Args) -> None:
    expect(scope, args, scope.subject.resolve, scope.subject.notes())


async def _save(scope: Scope[Conversation], args: Args) -> None:
    name, word, *patterns = args.plain()
    value = scope.subject.resolve(word)
    if value is None:
        text = f"save: there is no {word}"
        raise scope.failure(text, word, *scope.subject.notes())
    for pattern in patterns:
        try:
            compiled = compile_pattern(pattern)
            match = compiled.search(value)
        except PatternError as error:
            raise scope.failure(f"REGEXP error: {error}", pattern) from None
        if match is None:
            text = f"save: the pattern is not found in {value!r}"
            raise scope.failure(text, pattern, *scope.subject.notes())
        value = match[1] if compiled.groups else match[0]
    scope.case.define(scope.log, name, value)


async def _send(scope: Scope[Conversation], args: Args) -> None:
    (text,) = args.plain()
    scope.log.dump(4, "send", text)
    await scope.subject.send(scope, text.encode(ENCODING))


async def _sendhex(scope: Scope[Conversation], args: Args) -> None:
    (text,) = args.plain()
    data = unhex(text)
    if data is None:
        raise scope.failure("Illegal hex string", text)
    scope.log.hexdump(4, "sendhex", data)
    await scope.subject.send(scope, data)


async def _expect_close(scope: Scope[Conversation], args: Args) -> None:
    args.plain()
    await scope.subject.expect_end(scope)
    scope.checked()


async def _drop(scope: Scope[Conversation], args: Args) -> None:
    args.plain()
    scope.subject.drop(scope)


def _plain_commands() -> tuple[Command, ...]:
    return (
        Command(
            name="save",
            run=_save,
            usage="MACRO VALUE [PATTERN]",
            text="Define a macro for what follows this specification: one of the values that "
            "`expect` knows, or what the pattern finds in it (its first group, if it has one).",
            words_min=2,
            words_max=3,
            example=SAVE,
        ),
        Command(
            name="send",
            run=_send,
            usage="STRING",
            text="Send bytes as they are, past the protocol.",
            words_min=1,
            words_max=1,
            example=RAW,
        ),
        Command(
            name="sendhex",
            run=_sendhex,
            usage="HEXDIGITS",
            text="Send bytes as they are, past the protocol. White space is ignored.",
            words_min=1,
            words_max=1,
            example=RAW,
        ),
        Command(
            name="expect_close",
            run=_expect_close,
            usage="",
            text="The peer closes the connection, and says nothing more before.",
            example=RAW,
        ),
        Command(
            name="drop",
            run=_drop,
            usage="",
            text="Break the connection off with a reset, as when a machine fails.",
            example=DROP,
        ),
    )


SAVE = """\
vtest "one client uses what another one received"

server s1 -repeat 2 {
    lines {
        tx line "The word is swordfish."
        rx line -until "word"
    }
} -start

client c1 -connect ${s1_sock} {
    lines {
        rx line
        save word rx.text "is ([a-z]+)"
        tx line "a word"
    }
} -run

client c2 -connect ${s1_sock} {
    lines {
        rx line "The word is ${word}."
        tx line "word"
    }
} -run
"""
RAW = r"""
vtest "bytes as they are"

server s1 {
    lines {
        rx line "one"
        rx line "two"
        sendhex "62 79 65 0d 0a"
    }
} -start

client c1 -connect ${s1_sock} {
    lines {
        send "one\ntwo"
        send "\r\n"
        rx line "bye"
        expect_close
    }
} -run
"""
DROP = """\
vtest "a connection that breaks"

server s1 {
    lines {
        rx line "hello"
        expect_close
    }
} -start

client c1 -connect ${s1_sock} {
    lines {
        tx line "hello"
        drop
    }
} -run

server s1 -wait
"""
