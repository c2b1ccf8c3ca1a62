"""What all tests need of the machine."""

from __future__ import annotations

import gc
import os
from collections.abc import Iterator
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, settings

from tests import typed_core  # isort: skip - before what it chooses is imported

from holdfast.net.runtime.loop import allow_files
from tests import fork_server
from tests.distribution import make_scheduler, report_less, slow_first
from tests.package.build import Environment, Packages, install, packages_in
from tests.postgresql import Cluster, running
from tests.programs import look_everywhere
from tests.shared import shared

_FILES_MAX: Final = 60
"""Files that a process of the suite has open between two modules, before it collects garbage."""

# What is slow beside a busy process is no failure; the examples are as many as ever.
settings.register_profile(
    "holdfast", settings.default, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("holdfast")

allow_files()  # a thousand clients stand in one process
look_everywhere()
fork_server.install()


def pytest_report_header(config: pytest.Config) -> str:
    return f"typed core: {typed_core.IN_USE}"


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    return make_scheduler(config, log)


def pytest_configure(config: pytest.Config) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        report_less(config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if "PYTEST_XDIST_WORKER" in os.environ:
        slow_first(items)


def pytest_collection(session: pytest.Session) -> None:
    """Collect thousands of tests without looking for garbage among them again and again."""
    gc.disable()


def pytest_collection_finish(session: pytest.Session) -> None:
    gc.freeze()  # the tests and what they import stay: no later collection looks at them
    gc.enable()


@pytest.fixture(autouse=True)
def no_files_left_open() -> Iterator[None]:
    """Collect the garbage of a test that ends with more open files than it began with.

    A file that nobody closes is a `ResourceWarning` once it is collected: so it fails the test that
    left it, and not a later one.
    """
    before = open_files()
    yield
    if open_files() > before:
        gc.collect()


@pytest.fixture(scope="module", autouse=True)
def few_open_files() -> Iterator[None]:
    """Close what earlier tests have left to the collector: some programs take only low numbers.

    An application that a test ran here has kept the collector away.
    """
    yield
    if open_files() > _FILES_MAX:
        gc.unfreeze()
        gc.collect()
        gc.freeze()


@pytest.fixture(scope="session")
def packages(tmp_path_factory: pytest.TempPathFactory) -> Packages:
    """The source distribution and the wheel, built once for all processes of the suite."""
    with shared(tmp_path_factory, "packages") as folder:
        return packages_in(folder)


@pytest.fixture(scope="session")
def installed(packages: Packages, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    """An environment with the wheel and nothing else, made once for all processes."""
    with shared(tmp_path_factory, "installed") as folder:
        environment = Environment(folder / "environment")
        return (
            environment
            if environment.bin.exists()
            else install(packages.wheel, folder / "environment")
        )


@pytest.fixture(scope="session")
def postgresql() -> Iterator[Cluster]:
    """A PostgreSQL server for the tests of this process."""
    with running() as cluster:
        yield cluster


def open_files() -> int:
    """How many files this process has open."""
    return len(os.listdir("/proc/self/fd"))
