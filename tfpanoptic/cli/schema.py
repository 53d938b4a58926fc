"""`tfpanoptic schema`: what a configuration may hold, for editors."""

from __future__ import annotations


def schema() -> None:
    """Print the JSON schema of configurations, with which editors complete and check the YAML files."""
    import json

    from tfpanoptic.experiment import Experiment

    print(json.dumps(Experiment.model_json_schema(), indent=2))
