"""Outputs, losses, counts and segments of every architecture on JAX, where TensorFlow cannot be imported.

Usage: on_jax.py FOLDER. FOLDER/NAME/inputs.npz holds weights and a batch; FOLDER/NAME/jax.npz gets the results.
"""

import sys
from pathlib import Path

sys.modules["tensorflow"] = None

import jax  # noqa: E402
import keras  # noqa: E402
import numpy as np  # noqa: E402

from tests.architectures.experiments import MODELS, experiment  # noqa: E402
from tfpanoptic.categories import CategoryTable  # noqa: E402
from tfpanoptic.losses.shares import weighted_shares  # noqa: E402


def main(folder: Path) -> None:
    # Every weight is set below; JAX would compile a random generator for each shape first, minutes in all.
    for initializer in (keras.initializers.VarianceScaling, keras.initializers.TruncatedNormal):
        initializer.__call__ = lambda self, shape, dtype=None: np.zeros(shape, dtype)
    for name in MODELS:
        stored = np.load(folder / name / "inputs.npz")
        categories = CategoryTable.from_json(str(stored["categories"]))
        np.savez(folder / name / "jax.npz", **results(experiment(name), categories, stored))


def results(experiment, categories: CategoryTable, stored) -> dict[str, np.ndarray]:
    """What `test_architectures.results_on_tensorflow` computes, key for key."""
    architecture, config = experiment.architecture, experiment.model
    train, infer = architecture.build(config, categories)
    for weight in train.weights:
        weight.assign(stored[f"weight:{weight.path}"])
    batch, targets = (
        {key.removeprefix(part): stored[key] for key in stored if key.startswith(part)}
        for part in ("batch:", "targets:")
    )
    given = {**targets, **batch}

    def forward(training):
        variables = (train.trainable_variables, train.non_trainable_variables)
        values = ([variable.value for variable in group] for group in variables)
        outputs, _ = train.stateless_call(*values, {k: given[k] for k in train.input}, training=training)
        terms = architecture.loss(outputs, targets, config, categories)
        counts = architecture.all_counts(outputs, targets, config)
        shares = weighted_shares(terms, architecture.loss_weights(config), counts)
        return {"output": outputs, "loss": terms, "count": counts, "share": shares}

    def segments():
        outputs = infer({k: given[k] for k in infer.input}, training=False)
        return architecture.postprocess(outputs, batch["image"].shape[1:3], batch["valid_size"], config, categories)

    found = {f"segments/{key}": value for key, value in jax.jit(segments)()._asdict().items()}
    for training in (False, True):
        for kind, part in jax.jit(forward, static_argnums=0)(training).items():
            found |= {f"{training}/{kind}/{key}": value for key, value in part.items()}
    return {key: np.asarray(value) for key, value in found.items()}


if __name__ == "__main__":
    main(Path(sys.argv[1]))
