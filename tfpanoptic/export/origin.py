"""Where an export comes from: what made it, of what, and under which licence its weights are."""

from __future__ import annotations

from typing import Any

from tfpanoptic.environment import describe_environment
from tfpanoptic.version import __version__


def describe_origin(segmenter) -> dict[str, Any]:
    """For JSON: versions of what writes the export, the architecture and the licence of the weights."""
    environment = describe_environment(devices=False)
    return {
        "tfpanoptic": __version__,
        "architecture": segmenter.experiment.model.name,
        "licence": segmenter.licence,
        "python": environment["python"],
        "packages": environment["packages"],
    }
