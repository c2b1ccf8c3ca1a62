"""The frame codec in use: compiled where it was built, in Python otherwise.

`HOLDFAST_PURE=codec` in the environment asks for the Python twin.
"""

from __future__ import annotations

from holdfast.core.compiled import is_wanted

__all__ = ["COMPILED", "Payload", "encode", "encode_all", "head", "mask", "scan"]

COMPILED = False
"""Whether the compiled codec is in use."""

if is_wanted("codec"):
    try:
        from holdfast.protocols.websocket._codec import (
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
if not COMPILED:  # each start would pay for the tables of the twin
    from holdfast.protocols.websocket._codec_pure import (  # type: ignore[assignment]
        Payload,
        encode,
        encode_all,
        head,
        mask,
        scan,
    )
