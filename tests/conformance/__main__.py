"""`./dev conformance [NAME] [ARGUMENTS]`: run a public conformance suite, or list them."""

from __future__ import annotations

import sys
from importlib import import_module
from pkgutil import iter_modules

import tests.conformance

USAGE_STATUS = 2


def suites() -> list[str]:
    """The names of the suites."""
    found = iter_modules(tests.conformance.__path__)
    return sorted(module.name for module in found if not module.name.startswith("_"))


def main(arguments: list[str]) -> int:
    """Run the suite that is named; its exit status."""
    if not arguments or arguments[0] in ("-h", "--help"):
        for name in suites():
            module = import_module(f"tests.conformance.{name}")
            sys.stdout.write(f"{name:12} {(module.__doc__ or '').strip().splitlines()[0]}\n")
        return 0
    if arguments[0] not in suites():
        sys.stderr.write(f"no suite {arguments[0]!r}; there are: {', '.join(suites())}\n")
        return USAGE_STATUS
    status: int = import_module(f"tests.conformance.{arguments[0]}").main(arguments[1:])
    return status


sys.exit(main(sys.argv[1:]))
