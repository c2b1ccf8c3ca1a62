"""What pyproject.toml cannot say: what is compiled, and the README as an index page shows it."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

_SOURCE = Path("src")
_SUMS = Path("build", "typed-core.sha256")
"""Of the files that the compiled core of a checkout was made of: the tests look whether it still
is."""
_PICTURE = re.compile(r"^!\[[^\]]*\]\([^)]*\)\n\n", re.MULTILINE)
_LINK = re.compile(r"\[([^\]]+)\]\((?!https?:)[^)]*\)")
_NOTE = "The source distribution has the documents and examples that this page names.\n"


def for_an_index(readme: str) -> str:
    """`readme` without its pictures, and with the text of links to files and headings.

    An index page has neither the files nor the anchors.
    """
    text = _LINK.sub(r"\1", _PICTURE.sub("", readme))
    return f"{text}\n{_NOTE}"


class TypedExtension(Extension):
    """A module of the typed core: a `.py` file, whose `.pxd` says which types its fields have."""


def extensions() -> list[Extension]:
    """All that is compiled. Optional: without a compiler, Python files and the event loop serve."""
    alone = [_extension(Extension, path, "-O3") for path in sorted(_SOURCE.rglob("*.pyx"))]
    small = ("-O2", "-g0", "-fno-asynchronous-unwind-tables")
    typed = [
        _extension(TypedExtension, path.with_suffix(".py"), *small)
        for path in sorted(_SOURCE.rglob("*.pxd"))
    ]
    return alone + typed


def _extension(kind: type[Extension], path: Path, *flags: str) -> Extension:
    name = ".".join(path.relative_to(_SOURCE).with_suffix("").parts)
    return kind(name, [str(path)], extra_compile_args=[*flags], optional=True)


class BuildExtensions(build_ext):
    """Compiles the typed core as a whole: its modules know the layout of each other's objects."""

    def finalize_options(self) -> None:
        super().finalize_options()
        self.parallel = self.parallel or os.cpu_count()
        self.cython_include_dirs = [str(_SOURCE)]
        # Types are what the `.pxd` files say, and no annotation: `str` takes its subclasses too.
        self.cython_directives = {"language_level": 3, "annotation_typing": False}

    def run(self) -> None:
        super().run()
        if self.inplace:
            files = sorted(
                [
                    *_SOURCE.rglob("*.pxd"),
                    *(one.with_suffix(".py") for one in _SOURCE.rglob("*.pxd")),
                ]
            )
            _SUMS.parent.mkdir(exist_ok=True)
            _SUMS.write_text(
                "".join(f"{hashlib.sha256(one.read_bytes()).hexdigest()}  {one}\n" for one in files)
            )

    def build_extensions(self) -> None:
        super().build_extensions()
        typed = [one for one in self.extensions if isinstance(one, TypedExtension)]
        built = [Path(self.get_ext_fullpath(one.name)) for one in typed]
        if not all(path.exists() for path in built):
            for path in built:
                path.unlink(missing_ok=True)


setup(
    cmdclass={"build_ext": BuildExtensions},
    ext_modules=extensions(),
    long_description=for_an_index(Path("README.md").read_text(encoding="utf-8")),
    long_description_content_type="text/markdown",
)
