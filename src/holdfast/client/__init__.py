"""A client that reconnects and resumes by itself."""

from __future__ import annotations

from holdfast.client.client import Client, ClientEvent, connect
from holdfast.client.commands import Dropped, Uncertain
from holdfast.client.core import Began, ClientCore, Online
from holdfast.client.reconnector import Ended, Offline
from holdfast.client.state import ServerFaultError, State
from holdfast.protocols.holdfast_v1 import (
    Auth,
    Binary,
    Bye,
    Code,
    Data,
    Formatted,
    InputMode,
    Login,
    Notice,
    Offer,
    Profiles,
    Prompt,
    Refused,
    Text,
)

__all__ = [
    "Auth",
    "Began",
    "Binary",
    "Bye",
    "Client",
    "ClientCore",
    "ClientEvent",
    "Code",
    "Data",
    "Dropped",
    "Ended",
    "Formatted",
    "InputMode",
    "Login",
    "Notice",
    "Offer",
    "Offline",
    "Online",
    "Profiles",
    "Prompt",
    "Refused",
    "ServerFaultError",
    "State",
    "Text",
    "Uncertain",
    "connect",
]
