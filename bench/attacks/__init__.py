"""What an attacker does from one address (or one network), each attack a coroutine that goes on
for as long as it is let.

`ATTACKS` has them by name. They are as fast as they can be: the limits of the gateway are what
is tried.
"""

from __future__ import annotations

from typing import Final

from bench.attacks import rights, room, slow, text
from bench.attacks.wire import Attack

ATTACKS: Final[dict[str, Attack]] = {
    **rights.ATTACKS,
    **room.ATTACKS,
    **slow.ATTACKS,
    **text.ATTACKS,
}
