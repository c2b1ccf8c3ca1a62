"""The library is tested on each event loop that it may run on."""

from tests.loops import nothing_unhandled, pytest_asyncio_loop_factories

__all__ = ["nothing_unhandled", "pytest_asyncio_loop_factories"]
