"""The SDK: what an application author imports.

```python
from holdfast.app import App, Session

app = App("echo")

@app.on_text
async def said(session: Session, text: str) -> None:
    await session.text(f"You said: {text}")

app.run("unix:data/link.sock")
```
"""

from __future__ import annotations

from holdfast.app.answers import Refusal
from holdfast.app.app import App, MemberCount
from holdfast.app.failures import RefusedError
from holdfast.app.publishing import PublishRefusedError, UnknownSessionError
from holdfast.app.session import Session
from holdfast.core.identity import ClientFacts
from holdfast.core.items import (
    LATEST,
    MUST,
    VOLATILE,
    Binary,
    Data,
    Formatted,
    Notice,
    Output,
    Prompt,
    Span,
    Text,
)
from holdfast.core.login import Authenticate, AuthResult, ProfileSummary
from holdfast.core.validation import UnsendableError
from holdfast.sessions.publishing import Published
from holdfast.sessions.records import Capabilities

__all__ = [
    "LATEST",
    "MUST",
    "VOLATILE",
    "App",
    "AuthResult",
    "Authenticate",
    "Binary",
    "Capabilities",
    "ClientFacts",
    "Data",
    "Formatted",
    "MemberCount",
    "Notice",
    "Output",
    "ProfileSummary",
    "Prompt",
    "PublishRefusedError",
    "Published",
    "Refusal",
    "RefusedError",
    "Session",
    "Span",
    "Text",
    "UnknownSessionError",
    "UnsendableError",
]
