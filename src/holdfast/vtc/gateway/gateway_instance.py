"""A gateway by name: its configuration, its runs and its listeners."""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

from holdfast.net.addresses import Address, InvalidAddressError, parse_address
from holdfast.vtc.actors.program_run import ProgramKind
from holdfast.vtc.gateway.program_instance import ProgramInstance, program
from holdfast.vtc.io.socket_address import SocketAddress, is_unix, parse_unix
from holdfast.vtc.io.tls import self_signed
from holdfast.vtc.language.errors import Failure, Note
from holdfast.vtc.language.source import ENCODING, Token
from holdfast.vtc.run.case import Case

CONFIGURATION = "holdfast.toml"
EXIT_MISCONFIGURED = 2
_URL = re.compile(r'^(\s*url\s*=\s*)"([^"]*)"', re.MULTILINE)
_STORE = '\n[store]\npath = "sessions.db"\n'
_LISTENER = '\n[[listener]]\nurl = "{url}"\nbackend = "{backend}"\ndurability = "{durability}"\n'
_CERTIFICATE = 'certificate = {{ cert = "{path}", key = "{path}" }}\n'


class GatewayInstance(ProgramInstance):
    """A gateway by name. The ports that it was given once it keeps for later starts."""

    kind: ClassVar[str] = "gateway"
    program: ClassVar[ProgramKind] = program("holdfast", r"^holdfast: .*$")

    def __init__(self, case: Case, name: str) -> None:
        super().__init__(case, name)
        self.listen: list[Token] = []
        """URLs of listeners beside those of the configuration."""
        self.durability = "fast"
        self.backend = "link"
        self.config = ""
        self._addresses: list[Address] = []
        self._certificate = ""

    async def prepare(self) -> None:
        """Write the configuration and the files that it names. Raises `Failure`."""
        secure = any(url.partition(":")[0] in ("wss", "tls", "telnets") for url in self.listen)
        if secure and not self._certificate:
            self._certificate = await self_signed(self.case, self.name)
            self.case.define(self.log, f"{self.name}_cert", self._certificate)
        self._write(self._text())

    def _write(self, text: str) -> None:
        self.log.dump(4, "conf", text)
        with open(f"{self.directory}/{CONFIGURATION}", "wb") as file:
            file.write(text.encode(ENCODING))

    def _text(self) -> str:
        text = f"{self.config}\n" + "".join(map(self._listener, self.listen))
        if "[link]" not in text:
            text += f'\n[link]\nlisten = "unix:{self.directory}/link"\n'
        if "[store]" not in text:
            text += _STORE
        kept = iter(self._addresses)
        return _URL.sub(lambda match: f'{match[1]}"{next(kept, match[2])}"', text)

    def _listener(self, url: Token) -> str:
        try:
            address = parse_address(url)
        except InvalidAddressError as error:
            raise Failure(f"-listen: {error}", url.position()) from None
        text = _LISTENER.format(url=url, backend=self.backend, durability=self.durability)
        return text + (_CERTIFICATE.format(path=self._certificate) if address.secure else "")

    def _argv(self) -> Sequence[str]:
        return ("-m", "holdfast", "serve", CONFIGURATION)

    def _is_ready(self, output: str) -> bool:
        found = [at for event, at in _logged(output) if event == "listening for clients"]
        if len(found) < len(_URL.findall(self._text())):
            return False
        self._addresses = [parse_address(at) for at in found]
        links = [at for event, at in _logged(output) if event == "listening for applications"]
        if not links:
            return False
        self._define(links[0])
        return True

    def _define(self, link: str) -> None:
        self.case.define(self.log, f"{self.name}_link", link)
        self.case.define_address(self.log, f"{self.name}_link", self._where(parse_address(link)))
        seen: Counter[str] = Counter()
        for address in self._addresses:
            seen[address.scheme] += 1
            number = seen[address.scheme]
            name = f"{self.name}_{address.scheme}{number if number > 1 else ''}"
            self.case.define_address(self.log, name, self._where(address))

    def _where(self, url: Address) -> SocketAddress:
        if url.scheme == "unix":
            return parse_unix(url.path if is_unix(url.path) else f"{self.directory}/{url.path}")
        family = socket.AF_INET6 if ":" in url.host else socket.AF_INET
        return SocketAddress(family, (url.host, url.port))

    async def check(self, complaint: Token) -> None:
        """The configuration is refused with these words. Raises `Failure`."""
        await self.prepare()
        argv = ("-m", "holdfast", "check", CONFIGURATION)
        said = await self.run_once(argv, EXIT_MISCONFIGURED)
        if complaint not in said:
            text = f"Did not find expected string '{complaint}'"
            raise Failure(text, complaint.position(), (Note("holdfast", said),))


def _logged(output: str) -> Iterator[tuple[str, str]]:
    """The events that it has logged with an address."""
    for line in output.split("\n")[:-1]:
        if line.startswith("{"):
            entry: dict[str, Any] = json.loads(line)
            yield entry["event"], str(entry.get("at", ""))
