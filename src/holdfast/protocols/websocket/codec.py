"""The frame codec in use: compiled where it was built, in Python otherwise.

`HOLDFAST_PURE=codec` in the environment asks for the Python twin.
"""

from __future__ import annotations

from holdfast.core.compiled import is_wanted
from holdfast.protocols.websocket import _codec_pure as pure

__all__ = ["COMPILED", "Payload", "encode", "encode_all", "head", "mask", "scan"]

COMPILED = False
"""Whether the compiled codec is in use."""

encode, encode_all, head = pure.encode, pure.encode_all, pure.head
mask, scan = pure.mask, pure.scan
Payload = pure.Payload

if is_wanted("codec"):
    try:
        from holdfast.protocols.websocket._codec import (  # type: ignore[assignment]
            Payload,
            encode,
            encode_all,
            head,
            mask,
            scan,
        )

        COMPILED = True
    except ImportError:
        pass
