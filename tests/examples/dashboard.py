"""The dashboard and the alerts of `examples/grafana`, as queries."""

from __future__ import annotations

import json
import re
from typing import Any, Final

from tests.programs import ROOT

DASHBOARD: Final = ROOT / "examples" / "grafana" / "holdfast.json"
ALERTS: Final = ROOT / "examples" / "grafana" / "alerts.yml"


def panels() -> list[tuple[str, list[str]]]:
    """The title and the queries of each panel that has any."""
    dashboard: dict[str, Any] = json.loads(DASHBOARD.read_text())
    return [
        (panel["title"], [target["expr"] for target in panel["targets"]])
        for panel in dashboard["panels"]
        if panel.get("targets")
    ]


def expressions() -> list[str]:
    """Every query of the dashboard and of the alerts."""
    return [query for _, queries in panels() for query in queries] + re.findall(
        r"^\s+expr: (.*)$", ALERTS.read_text(), re.MULTILINE
    )
