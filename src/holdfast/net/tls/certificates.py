"""A listener's certificates, and their replacement while it runs.

New connections take the new ones; those in being keep what they have. What
cannot be used is reported and changes nothing.
"""

from __future__ import annotations

import os
import ssl

from holdfast.core.errors import ConfigurationError
from holdfast.net.loggers import LazyLogger
from holdfast.net.runtime.runtime import Runtime
from holdfast.net.runtime.timers import UNSCHEDULED
from holdfast.net.tls.contexts import CertificateFacts, ServerContexts, server_contexts
from holdfast.net.tls.options import TlsOptions

_log = LazyLogger("holdfast.net")

_Fingerprint = tuple[tuple[int, ...], ...]


class ServerTls:
    """TLS of one listener; without options, it is off: new connections are in the clear.

    Raises `ConfigurationError` for what cannot be used.
    """

    def __init__(self, options: TlsOptions | None) -> None:
        self.options: TlsOptions | None = None
        self._fingerprint: _Fingerprint = ()
        self._contexts: ServerContexts | None = None
        self.replace(options)

    @property
    def context(self) -> ssl.SSLContext | None:
        """For the next connection; `None` while TLS is off."""
        return self._contexts.context if self._contexts is not None else None

    @property
    def facts(self) -> tuple[CertificateFacts, ...]:
        """What the certificates in use say of themselves."""
        return self._contexts.facts if self._contexts is not None else ()

    @property
    def changed(self) -> bool:
        """Whether a file is not the one that was read."""
        return _fingerprint(self.options) != self._fingerprint

    def replace(self, options: TlsOptions | None) -> None:
        """Use other options for new connections, or none. Open connections keep theirs.

        They pass a handshake with themselves before they are used. Raises `ConfigurationError`,
        and goes on with what there was.
        """
        fingerprint = _fingerprint(options)  # before reading: a later change is seen again
        self._contexts = server_contexts(options) if options is not None else None
        self.options, self._fingerprint = options, fingerprint

    def reload(self) -> None:
        """Read the files again. Raises `ConfigurationError`, and goes on with what there was."""
        self.replace(self.options)


class CertificateWatch:
    """Looks at the files of a server's certificates now and then."""

    __slots__ = ("_complaint", "_every_seconds", "_runtime", "_watched", "timer_slot")

    def __init__(self, runtime: Runtime, every_seconds: float) -> None:
        self.timer_slot = UNSCHEDULED
        self._runtime = runtime
        self._every_seconds = every_seconds
        self._watched: list[ServerTls] = []
        self._complaint = ""

    def add(self, tls: ServerTls) -> None:
        """Watch the certificates of one more listener."""
        self._watched.append(tls)
        self._schedule(self._runtime.timers.time())

    def remove(self, tls: ServerTls) -> None:
        """Stop watching those of one listener."""
        self._watched.remove(tls)
        if not self._watched:
            self.stop()

    def stop(self) -> None:
        """Look no more."""
        self._watched.clear()
        self._runtime.timers.cancel(self)

    def expire(self, now: float) -> None:
        try:
            self.reload(only_changed=True)
        finally:
            self._schedule(now)

    def reload(self, *, only_changed: bool = False) -> None:
        """Read the files again; what is wrong with them is logged, once."""
        complaint = ""
        for tls in self._watched:
            if tls.options is None or (only_changed and not tls.changed):
                continue
            name = tls.options.certificates[0].cert
            try:
                tls.reload()
            except ConfigurationError as error:
                complaint = str(error)
            except Exception as error:  # the other certificates are others' listeners'
                complaint = f"{name}: {error}"
            else:
                _log.info("certificates loaded", cert=name)
        if complaint and (complaint != self._complaint or not only_changed):
            _log.error("certificates not replaced", fault=complaint)
        self._complaint = complaint

    def _schedule(self, now: float) -> None:
        if self._watched:
            self._runtime.timers.schedule(self, now + self._every_seconds)


def _fingerprint(options: TlsOptions | None) -> _Fingerprint:
    """What tells that a file was written or replaced; links are followed."""
    if options is None:
        return ()
    files = [options.client_ca] if options.client_ca else []
    for certificate in options.certificates:
        files += [certificate.cert, certificate.key]
        if certificate.passphrase_file:
            files.append(certificate.passphrase_file)
    return tuple(_stat(file) for file in files)


def _stat(file: str) -> tuple[int, ...]:
    try:
        found = os.stat(file)
    except OSError:
        return ()
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns
