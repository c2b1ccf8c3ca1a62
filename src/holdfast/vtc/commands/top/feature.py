"""`feature`"""

from __future__ import annotations

import grp
import os
import pwd
import socket
import sys
from collections.abc import Callable, Iterator

from holdfast.vtc.io.socket_address import SocketAddress, parse_unix
from holdfast.vtc.language.command import Args, Command
from holdfast.vtc.language.context import Context
from holdfast.vtc.language.errors import Skip
from holdfast.vtc.language.registry import find
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.case import Case
from holdfast.vtc.run.scope import Scope
from holdfast.vtc.run.shell import run_shell

_EXAMPLE = """\
vtest "what a test needs"

feature ipv4 64bit !dns
feature cmd {test -x /bin/sh}
feature vtest_cmd server
feature ignore_unknown_macro

shell -expect "{HOME}" {echo '${HOME}'}
"""


def _can_bind(family: socket.AddressFamily, host: str) -> bool:
    address = SocketAddress(family, (host, 0) if family == socket.AF_INET else (host, 0, 0, 0))
    return _bindable(address)


def _bindable(address: SocketAddress) -> bool:
    try:
        with socket.socket(address.family) as sock:
            sock.bind(address.sockaddr)
    except OSError:
        return False
    return True


def _user_exists(name: str) -> bool:
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def _group_exists(name: str) -> bool:
    try:
        grp.getgrnam(name)
    except KeyError:
        return False
    return True


def _never(_case: Case) -> bool:
    return False


FEATURES: dict[str, Callable[[Case], bool]] = {
    "ipv4": lambda _: _can_bind(socket.AF_INET, "127.0.0.1"),
    "ipv6": lambda _: _can_bind(socket.AF_INET6, "::1"),
    "64bit": lambda _: sys.maxsize > 1 << 32,
    "disable_aslr": lambda _: sys.platform == "linux",
    # A test program asks nothing of the world outside this machine.
    "dns": _never,
    "topbuild": lambda case: case.settings.in_source_tree,
    "root": lambda _: os.geteuid() == 0,
    "user_varnish": lambda _: _user_exists("varnish"),
    "user_vcache": lambda _: _user_exists("vcache"),
    "group_varnish": lambda _: _group_exists("varnish"),
    "abstract_uds": lambda _: _bindable(parse_unix("@vtc.feature.abstract_uds")),
    # How Varnish was built: we were not built with it.
    "persistent_storage": _never,
    "coverage": _never,
    "asan": _never,
    "msan": _never,
    "tsan": _never,
    "ubsan": _never,
    "sanitizer": _never,
    "workspace_emulator": _never,
}


async def _feature(scope: Scope[Case], args: Args) -> None:
    words = iter(args.plain())
    for word in words:
        negated = word.startswith("!")
        name = word[1:] if negated else str(word)
        if name == "ignore_unknown_macro":
            scope.case.macros.ignore_unknown = True
        elif await _present(scope, word, name, words) == negated:
            kind = "conflicting" if negated else "lacking"
            scope.log.line(1, f"SKIPPING test, {kind} feature: {name}")
            raise Skip(f"{kind} feature: {name}")


async def _present(scope: Scope[Case], word: Token, name: str, rest: Iterator[Token]) -> bool:
    if name in FEATURES:
        return FEATURES[name](scope.case)
    if name not in ("cmd", "vtest_cmd"):
        raise scope.failure(f"FAIL test, unknown feature: {name}", word)
    argument = next(rest, None)
    if argument is None:
        missing = (
            "Missing the command-line" if name == "cmd" else "vtest_cmd needs the command name"
        )
        raise scope.failure(missing, word)
    if name == "vtest_cmd":
        return find(Context.TOP, argument) is not None
    status, output = await run_shell(scope.case, argument.encode(ENCODING))
    scope.case.diag.append(bytes(output).decode(ENCODING))
    return os.WIFSIGNALED(status) or os.WEXITSTATUS(status) == 0


COMMANDS = (
    Command(
        name="feature",
        run=_feature,
        usage="[!]FEATURE...",
        text="Skip the test unless the feature is there, or with `!` if it is: "
        + ", ".join(f"`{name}`" for name in FEATURES)
        + ", `cmd COMMAND` (a shell command that succeeds), `vtest_cmd NAME` (a command of this "
        "language). `ignore_unknown_macro` never skips: from there on `${…}` that is no macro "
        "stays as it is.",
        words_min=0,
        words_max=None,
        example=_EXAMPLE,
    ),
)
