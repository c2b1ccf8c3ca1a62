"""The source distribution and the wheel: what is in them, and that the wheel works alone."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from tests.package.build import Environment, Packages
from tests.package.contents import check_sdist, check_wheel
from tests.package.smoke import smoke
from tests.programs import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def test_the_source_distribution_has_what_belongs_in_it(packages: Packages) -> None:
    check_sdist(packages.sdist)


def test_the_wheel_has_what_belongs_in_it(packages: Packages) -> None:
    check_wheel(packages.wheel)


def test_the_demo_runs_in_an_environment_with_nothing_else(
    installed: Environment, tmp_path: Path
) -> None:
    smoke(installed, tmp_path)


def test_nothing_is_installed_that_nobody_asked_for(installed: Environment) -> None:
    """What pulls in a browser or a test runner would be noticed here."""
    code = "from importlib.metadata import distributions as d; print(*(x.name for x in d()))"
    names = {name.lower() for name in installed.output("python", "-c", code).split()}
    assert {"holdfast", "aiohttp", "prometheus-client", "prometheus_client"} & names >= {
        "holdfast",
        "aiohttp",
    }
    assert names & {"pytest", "cython", "hypothesis", "setuptools", "asyncssh", "hpack"} == set()
    assert len(names) < 30


def test_the_manual_of_the_test_language_needs_no_extra(installed: Environment) -> None:
    assert "### txreq" in installed.output("holdfast", "vtc", "--manual")


def test_each_python_that_is_named_is_tried() -> None:
    named = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    text = (ROOT / "tests" / "package" / "__main__.py").read_text()
    assert re.search(re.escape(", ".join(f'"{version}"' for version in named)), text)
    assert PROJECT["requires-python"] == f">={named[0]}"


def test_the_command_of_the_readme_s_first_lines_is_the_package_s_name() -> None:
    first = (ROOT / "README.md").read_text().partition("```sh\n")[2].partition("```")[0]
    assert first.splitlines()[0].split()[:3] == ["pip", "install", PROJECT["name"]]
