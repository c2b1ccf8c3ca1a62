"""When to report a fault that lasts: once at its start, then at growing intervals.

A fault that is reported with each attempt fills the log; one that is reported once is overlooked.

```python
outage = Outage()
while not connected():
    if outage.failed(now()):
        log.warning("not connected", attempts=outage.attempts, seconds=outage.seconds(now()))
outage.ended()
```
"""

from __future__ import annotations

from typing import Final

from holdfast.core.backoff import Backoff

REPORT_SECONDS_MIN: Final = 10.0
"""Between the first report of an outage and the second; each interval is twice the one before."""
REPORT_SECONDS_MAX: Final = 600.0
"""The longest interval between two reports."""


class Outage:
    """Failed attempts, and which of them to report. `now` is a time in seconds, of any clock."""

    def __init__(self) -> None:
        self.attempts = 0
        """Failed attempts of this outage."""
        self._since = 0.0
        self._report_at = 0.0
        self._quiet_until = 0.0
        self._intervals = Backoff(REPORT_SECONDS_MIN, REPORT_SECONDS_MAX)

    def announced(self, now: float) -> None:
        """The other side has said that it ends, and will probably be back soon: the first report
        waits for `REPORT_SECONDS_MIN`."""
        self._quiet_until = now + REPORT_SECONDS_MIN

    def failed(self, now: float) -> bool:
        """Count a failed attempt. Returns whether to report it."""
        if self.attempts == 0:
            self._since = now
            self._report_at = max(now, self._quiet_until)
        self.attempts += 1
        if now < self._report_at:
            return False
        self._report_at = now + self._intervals.pause(1.0)
        return True

    def seconds(self, now: float) -> float:
        """How long the outage has lasted; 0 if there is none."""
        return now - self._since if self.attempts else 0.0

    def ended(self) -> None:
        """An attempt has succeeded: the next failure begins another outage."""
        self.attempts = 0
        self._quiet_until = 0.0
        self._intervals.reset()
