"""`tfpanoptic env`: versions and devices, for bug reports."""

from __future__ import annotations

from typing import Annotated

import typer

from tfpanoptic.cli.quiet_tensorflow import quiet_standard_error


def env(
    devices: Annotated[
        bool, typer.Option("--devices", help="Ask the backend for its devices, which takes seconds.")
    ] = False,
) -> None:
    """Print versions and the Keras backend, as JSON for bug reports; with --devices those that it sees, too."""
    import json

    from tfpanoptic.environment import describe_environment

    with quiet_standard_error():
        environment = describe_environment(devices)
    print(json.dumps(environment, indent=2))
