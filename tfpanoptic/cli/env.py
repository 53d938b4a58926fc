"""`tfpanoptic env`: versions and devices, for bug reports."""

from __future__ import annotations


def env() -> None:
    """Print versions, devices and the Keras backend, as JSON for bug reports."""
    import json

    from tfpanoptic.environment import describe_environment

    print(json.dumps(describe_environment(), indent=2))
