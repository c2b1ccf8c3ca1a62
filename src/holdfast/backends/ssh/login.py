"""How a user logs in: what asyncssh asks for, and the questions to the user. No secret is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import asyncssh

from holdfast.backends.ssh.config import TargetConfig
from holdfast.backends.terminal.dialogue import Dialogue, Question
from holdfast.core.text import presentable

_PROMPT_CHARS_MAX: Final = 500
_PROMPTS_MAX: Final = 16
_ROUNDS_MAX: Final = 8
_CHALLENGES_MAX: Final = 32
"""In all rounds: one may have several, also without a question."""
_BANNERS_MAX: Final = 32
_PASSPHRASE: Final = Question("passphrase", "Passphrase of the key", echo=False)
_PASSWORD: Final = Question("password", "Password", echo=False)
_KEY: Final = Question("key", "Private key (leave it empty to log in in another way)", echo=False)


class Login(asyncssh.SSHClient):
    """One login: what the connection asks for. `accepted` are trusted host keys."""

    def __init__(
        self,
        target: TargetConfig,
        dialogue: Dialogue,
        accepted: Sequence[asyncssh.SSHKey],
        agent: str,
        tries_max: int,
    ) -> None:
        self._target = target
        self.dialogue = dialogue
        self._accepted = accepted
        self._agent = agent
        self._agent_client: asyncssh.SSHAgentClient | None = None
        self._tries = tries_max
        self._passphrases_max = tries_max + 1  # the first time, without one
        self._keys_given = self._key_asked = False
        self._rounds = self._challenges = self._banners = 0
        self.host_key: asyncssh.SSHKey | None = None
        """The server's, once it was shown and is none of those that are known."""
        self.connected = False
        """Whether the socket is a connection's, which closes it."""

    def connection_made(self, conn: asyncssh.SSHClientConnection) -> None:
        self.connected = True

    def validate_host_public_key(
        self, host: str, addr: str, port: int, key: asyncssh.SSHKey
    ) -> bool:
        self.host_key = key
        return key in self._accepted

    def auth_banner_received(self, msg: str, lang: str) -> None:
        self._banners += 1
        if self._banners > _BANNERS_MAX:
            raise asyncssh.ProtocolError(f"more than {_BANNERS_MAX} banners")
        for line in msg[:_PROMPT_CHARS_MAX].splitlines():
            self.dialogue.tell(presentable(line))

    async def public_key_auth_requested(self) -> Sequence[asyncssh.SSHKeyPair] | None:
        if not self._keys_given:
            self._keys_given = True
            given = await self._given_keys()
            if given:
                return given
        if self._key_asked or not self.dialogue.clicks:
            return None
        self._key_asked = True
        text = await self.dialogue.ask(_KEY)
        key = await self._read_key(text) if text.strip() else None
        return list(asyncssh.load_keypairs(key)) if key is not None else None

    async def _given_keys(self) -> list[asyncssh.SSHKeyPair]:
        """The keys that the operator gives to everybody."""
        pairs: list[asyncssh.SSHKeyPair] = []
        if self._target.key_file:
            pairs += asyncssh.load_keypairs(Path(self._target.key_file))
        if self._agent:
            client = self._agent_client = await asyncssh.connect_agent(self._agent)
            if client is not None:
                pairs += await client.get_keys()
        return pairs

    async def close(self) -> None:
        """The login is over: the agent is asked for no more signatures."""
        client, self._agent_client = self._agent_client, None
        if client is not None:
            client.close()
            await client.wait_closed()

    async def _read_key(self, text: str) -> asyncssh.SSHKey | None:
        """The key that a user has given, or `None`; then the user got a notice."""
        passphrase = None
        for _ in range(self._passphrases_max):
            try:
                # To derive a key from a passphrase takes long on purpose.
                return await asyncio.to_thread(
                    asyncssh.import_private_key, text.strip() + "\n", passphrase
                )
            except asyncssh.KeyEncryptionError:
                self.dialogue.tell("That passphrase does not fit.")
            except asyncssh.KeyImportError as error:
                if passphrase is not None or "assphrase" not in str(error):
                    self.dialogue.tell("That is no private key in a known format.")
                    return None
            passphrase = await self.dialogue.ask(_PASSPHRASE)
        return None

    async def password_auth_requested(self) -> str | None:
        if not self._tries:
            return None
        self._tries -= 1
        return await self.dialogue.ask(_PASSWORD)

    def kbdint_auth_requested(self) -> str | None:
        self._rounds += 1
        return "" if self._rounds <= _ROUNDS_MAX else None

    async def kbdint_challenge_received(
        self, name: str, instructions: str, lang: str, prompts: Sequence[tuple[str, bool]]
    ) -> Sequence[str] | None:
        self._challenges += 1
        if self._challenges > _CHALLENGES_MAX:
            raise asyncssh.ProtocolError(f"more than {_CHALLENGES_MAX} challenges")
        if len(prompts) > _PROMPTS_MAX:
            return None
        for line in (name, *instructions.splitlines()):
            if line.strip():
                self.dialogue.tell(presentable(line[:_PROMPT_CHARS_MAX]))
        answers = []
        for text, echo in prompts:
            shown = presentable(text[:_PROMPT_CHARS_MAX]).strip().removesuffix(":")
            answers.append(await self.dialogue.ask(Question("prompt", shown, echo=echo)))
        return answers
