"""`holdfast config`: what may a configuration say?"""

from __future__ import annotations

from typing import Annotated

import typer

from holdfast.cli.output import EXIT_MISCONFIGURED, stop
from holdfast.gateway.config_reference import example, json_schema, markdown


def config(
    reference: Annotated[
        bool, typer.Option("--reference", help="Every key, as a page in Markdown.")
    ] = False,
    schema: Annotated[
        bool, typer.Option("--schema", help="Every key, as a JSON Schema for editors.")
    ] = False,
    example_file: Annotated[
        bool, typer.Option("--example", help="A file to begin with, with every key as a comment.")
    ] = False,
) -> None:
    """Print what a configuration may say: a reference, a JSON Schema or an example.

    Examples:

        holdfast config --example > holdfast.toml

        holdfast config --schema > holdfast.schema.json
    """
    asked = [
        write
        for wanted, write in (
            (reference, markdown),
            (schema, json_schema),
            (example_file, example),
        )
        if wanted
    ]
    if len(asked) != 1:
        stop("expected one of --reference, --schema and --example", EXIT_MISCONFIGURED)
    typer.echo(asked[0](), nl=False)
