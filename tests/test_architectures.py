"""The contract of an architecture: what the rest of the library relies on, for every one and for a made-up one."""

import os
import subprocess
import sys
from functools import cache
from pathlib import Path

import keras
import numpy as np
import pytest
import tensorflow as tf
from safetensors import safe_open

from tests.architectures.experiments import CROPS, MODELS, experiment, fit_two_steps, segmenter, working
from tfpanoptic.categories import CategoryTable
from tfpanoptic.category_match import Outputs, count_outputs
from tfpanoptic.doctor.ceiling import ceiling
from tfpanoptic.errors import InputError, SettingError
from tfpanoptic.experiment import Experiment
from tfpanoptic.export.saved_model import export_saved_model
from tfpanoptic.inference import network_outputs, segment_images, segments_of_outputs
from tfpanoptic.models import ARCHITECTURES
from tfpanoptic.photo.pixels import read_image
from tfpanoptic.segmenter import PanopticSegmenter
from tfpanoptic.train.checkpoints import Checkpoints
from tfpanoptic.train.loop import train

ROOT = Path(__file__).parents[1]
MADE_UP = {"toy"}


def slow(*names):
    """All models, those of `names` among the slow tests."""
    return [pytest.param(name, marks=pytest.mark.slow) if name in names else name for name in MODELS]


# A train network takes long to trace: the smallest is enough here. The others' layers and losses have their own fast
# tests.
LONG = slow("panoptic_deeplab", "panoptic_fpn", "upsnet", "axial_deeplab", "deeperlab", "eomt")


@pytest.fixture(params=MODELS)
def name(request):
    return request.param


@cache
def made(name):
    """One model and one batch of each architecture for all tests that leave them as they are."""
    model = working(name)
    return model, next(iter(model.batches("train", batch_size=2)))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder for each architecture."""
    folder = tmp_path_factory.mktemp("architectures")
    for name in MODELS:
        (folder / name).mkdir()
    return folder


def run_child(script: str, *arguments, **environment) -> None:
    finished = subprocess.run(
        [sys.executable, str(ROOT / "tests" / "architectures" / script), *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": str(ROOT), "TF_CPP_MIN_LOG_LEVEL": "3", **environment},
        capture_output=True,
        text=True,
    )
    assert finished.returncode == 0, finished.stderr[-4000:]


def weights_of(path: Path) -> dict[str, np.ndarray]:
    with safe_open(str(path), "numpy") as file:
        return {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


def assert_same_weights(path: Path, other: Path, **tolerance) -> None:
    ours, theirs = weights_of(path), weights_of(other)
    assert ours.keys() == theirs.keys()
    for key, values in theirs.items():
        np.testing.assert_allclose(ours[key], values, err_msg=key, **tolerance)


def test_every_architecture_has_a_tiny_model_here():
    assert set(ARCHITECTURES) - MADE_UP == set(MODELS) - MADE_UP


def test_the_record_and_its_configuration_have_one_name(name):
    architecture = experiment(name).architecture
    assert architecture.name == name == architecture.config.model_fields["name"].default


@pytest.mark.parametrize("blocks", [(2, 3), (4, 2)])
def test_it_runs_at_any_size_of_its_grid(name, blocks):
    model, _ = made(name)
    grid = model.experiment.grid
    size = tuple(n * grid.stride + grid.plus_one for n in blocks)
    outputs = model(np.zeros((2, *size, 3), "uint8"))
    assert all(value.shape[0] == 2 and value.dtype in ("float32", "int32") for value in outputs.values())
    valid_size = np.array([size, [5, 7]], "int32")
    architecture = model.experiment.architecture
    segments = architecture.postprocess(outputs, size, valid_size, model.experiment.model, model.categories)
    ids = np.asarray(segments.segment_ids)
    assert ids.shape == (2, *size) and ids.dtype == "int32"
    assert not ids[1, 5:].any() and not ids[1, :, 7:].any()
    assert segments.labels.shape == segments.scores.shape and ids.max() <= segments.labels.shape[1]


def test_the_infer_network_has_no_weight_of_its_own(name):
    model, _ = made(name)
    trained = {id(weight) for weight in model.train_network.weights}
    assert {id(weight) for weight in model.infer_network.weights} <= trained
    assert {id(weight) for weight in model.weights} == trained
    paths = [weight.path for weight in model.weights]
    assert len(set(paths)) == len(paths)


def test_the_declared_channels_are_those_of_the_heads(name):
    model, batch = made(name)
    for outputs in (model(batch), model(batch["image"])):
        heads = {head: ids for head, ids in model.channels.items() if head in outputs}
        assert heads and all(outputs[head].shape[-1] == len(ids) for head, ids in heads.items())
        assert {category for ids in heads.values() for category in ids} <= {0, *model.categories.ids}


def test_every_layer_that_other_categories_change_is_declared(name):
    """Two things and two stuff more than the nuclei have."""
    model, _ = made(name)
    architecture, config = model.experiment.architecture, model.experiment.model
    entries = [*model.categories.to_coco(), *({"id": 90 + i, "name": f"new{i}", "isthing": i % 2} for i in range(4))]
    categories = CategoryTable.from_coco(entries)
    shapes = {w.path: tuple(w.shape) for w in architecture.build(config, categories).train.weights}
    changed = {w.path for w in model.weights if shapes[w.path] != tuple(w.shape)}
    declared = {}
    for layer in architecture.category_layers:
        count = count_outputs(layer, Outputs(categories, architecture.channels(config, categories)))
        declared |= {path: count for path in shapes if path.startswith(f"{layer.path}/")}
    assert changed == set(declared)
    assert {path: shapes[path][-1] for path in declared} == declared


def test_terms_weights_and_counts_have_the_same_names(name):
    model, batch = made(name)
    architecture, config = model.experiment.architecture, model.experiment.model
    outputs = model(batch, training=True)
    terms = architecture.loss(outputs, batch["targets"], config, model.categories)
    assert set(terms) == set(architecture.loss_weights(config))
    counts = architecture.all_counts(outputs, batch["targets"], config)
    assert set(counts) <= set(terms)
    for values in (*terms.values(), *counts.values()):
        assert values.shape == (2,) and values.dtype == "float32" and np.isfinite(values).all()


def test_targets_have_fixed_shapes(name):
    model, _ = made(name)
    spec = model.batches("train", batch_size=2).element_spec
    for part in tf.nest.flatten(spec):
        assert part.shape.is_fully_defined()
    assert not set(spec["targets"]) & (set(spec) - {"targets"})


@pytest.fixture(scope="module")
def one_device(folder):
    """A function: name -> a run folder of three steps on one device."""

    @cache
    def run(name):
        train(experiment(name), folder / name / "one")
        return folder / name / "one"

    return run


@pytest.mark.parametrize("name", LONG)
def test_two_replicas_train_the_weights_of_one_device(name, folder, one_device, two_replicas):
    """Gradient clipping, dropout and sampling are on."""
    mirrored = folder / name / "trained"
    train(experiment(name), mirrored, two_replicas)
    assert_same_weights(mirrored / "last.safetensors", one_device(name) / "last.safetensors", atol=2e-5, rtol=2e-4)


@pytest.mark.slow
def test_two_replicas_fit_the_weights_and_the_history_of_one_device(name, folder, two_replicas):
    start, fitted, mirrored = (folder / name / f"{part}.safetensors" for part in ("start", "fitted", "mirrored"))
    alone = segmenter(name)
    alone.save_weights_file(start)
    expected = fit_two_steps(alone)
    alone.save_weights_file(fitted)
    with two_replicas.scope():
        shared = segmenter(name, start)
        history = fit_two_steps(shared)
    shared.save_weights_file(mirrored)
    assert_same_weights(mirrored, fitted, atol=2e-5, rtol=2e-4)
    terms = alone.experiment.architecture.loss_weights(alone.experiment.model)
    assert set(expected) == {prefix + key for prefix in ("", "val_") for key in ("loss", *terms)}
    for prefix in ("", "val_"):
        assert sum(expected[prefix + term][0] for term in terms) == pytest.approx(
            expected[f"{prefix}loss"][0], rel=1e-5
        )
    assert history == {key: pytest.approx(values, rel=1e-4) for key, values in expected.items()}


@pytest.mark.parametrize("name", LONG)
def test_a_run_interrupted_and_resumed_ends_with_the_same_bits(name, folder, one_device, monkeypatch):
    save, run = Checkpoints.save, folder / name / "resumed"

    def interrupted(checkpoints, step):
        save(checkpoints, step)
        if step == 2:
            monkeypatch.setattr(Checkpoints, "save", save)
            raise KeyboardInterrupt

    monkeypatch.setattr(Checkpoints, "save", interrupted)
    with pytest.raises(KeyboardInterrupt):
        train(experiment(name), run)
    assert not (run / "last.safetensors").exists()
    train(experiment(name), run, resume=True)
    assert_same_weights(run / "last.safetensors", one_device(name) / "last.safetensors", atol=0, rtol=0)


@pytest.mark.parametrize("name", LONG)
def test_a_training_step_compiled_by_xla_gives_the_numbers_of_the_plain_one(name):
    model, batch = made(name)
    variables = model.trainable_variables

    def step(batch):
        with tf.GradientTape() as tape:
            shares = model.loss_shares(model(batch, training=True), batch["targets"])
            loss = tf.add_n(list(shares.values()))
        return {**shares, "loss": loss}, tape.gradient(loss, [v.value for v in variables])

    start = [v.numpy() for v in model.non_trainable_variables]

    def run(**options):
        terms, gradients = tf.function(step, **options)(batch)
        moved = [v.numpy() for v in model.non_trainable_variables]
        for variable, value in zip(model.non_trainable_variables, start, strict=True):
            variable.assign(value)
        return terms, gradients, moved

    plain_terms, plain, plain_statistics = run(jit_compile=False)
    compiled_terms, compiled, statistics = run(jit_compile=True)
    for variable, ours, theirs in zip(model.non_trainable_variables, statistics, plain_statistics, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-6, err_msg=variable.path)
    for key, value in plain_terms.items():
        np.testing.assert_allclose(compiled_terms[key], value, rtol=1e-4, err_msg=key)
    scale = max(float(tf.norm(gradient)) for gradient in plain)
    for variable, ours, theirs in zip(variables, compiled, plain, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-4 * scale, err_msg=variable.path)


@pytest.mark.parametrize("name", slow("panoptic_fpn", "upsnet", "axial_deeplab", "deeperlab"))
def test_inference_compiled_by_xla_gives_the_segments_of_the_plain_one(name):
    model, _ = made(name)
    image = read_image(model.experiment.load_data("val").records[0].image_path)[None, :96, :80]

    def segment(image):
        return segment_images(model.infer_network, image, model.experiment, model.categories)

    plain, compiled = (tf.function(segment, jit_compile=jit)(tf.constant(image)) for jit in (False, True))
    assert np.mean(plain.segment_ids == compiled.segment_ids) > 0.999
    np.testing.assert_array_equal(plain.labels, compiled.labels)
    np.testing.assert_allclose(compiled.scores, plain.scores, atol=1e-3)


def test_images_of_a_batch_are_segmented_as_they_are_alone(name):
    model, _ = made(name)
    records = model.experiment.load_data("val").records[:2]
    images = np.stack([read_image(record.image_path)[:64, :96] for record in records])
    arguments = (model.experiment, model.categories)
    together = segment_images(model.infer_network, images, *arguments)
    for place in range(len(images)):
        alone = segment_images(model.infer_network, images[place : place + 1], *arguments)
        assert np.mean(np.asarray(together.segment_ids)[place] == np.asarray(alone.segment_ids)[0]) > 0.999
        np.testing.assert_array_equal(np.asarray(together.labels)[place], np.asarray(alone.labels)[0])
        np.testing.assert_allclose(np.asarray(together.scores)[place], np.asarray(alone.scores)[0], atol=1e-4)


def test_views_give_the_outputs_of_the_heads_again(name):
    """The mean of one view of an image is what the network says of it."""
    model, _ = made(name)
    architecture, config = model.experiment.architecture, model.experiment.model
    if architecture.views is None:
        pytest.skip(f"{name} has no views")
    outputs = model(np.random.default_rng(0).uniform(0, 255, (1, *CROPS[name], 3)))
    values = architecture.views.values(outputs, np.ones(2, "float32"), False)
    again = architecture.views.outputs(values)
    assert again.keys() == outputs.keys()
    size, valid_size = CROPS[name], np.array([CROPS[name]], "int32")
    ours, theirs = (architecture.postprocess(o, size, valid_size, config, model.categories) for o in (again, outputs))
    assert np.mean(np.asarray(ours.segment_ids) == np.asarray(theirs.segment_ids)) > 0.999
    np.testing.assert_allclose(ours.scores, theirs.scores, atol=1e-4)


def with_postprocess(name, **settings):
    """The tiny experiment of an architecture with other settings of post-processing."""
    everything = experiment(name).to_dict()
    everything["model"]["postprocess"] |= settings
    return Experiment.from_dict(everything)


def test_what_is_tuned_are_settings_of_post_processing_and_values_that_they_take(name):
    tunable = experiment(name).architecture.tunable
    assert tunable or name in MADE_UP
    for setting, (values, _) in tunable.items():
        taken = [getattr(with_postprocess(name, **{setting: value}).model.postprocess, setting) for value in values]
        assert taken == list(values) and list(values) == sorted(set(values))
        assert len(values) > 1


@pytest.mark.parametrize("name", slow("panoptic_deeplab", "axial_deeplab", "deeperlab"))
def test_outputs_of_the_network_do_for_all_values_of_what_is_tuned(name):
    """Those of a network with a low value, where it drops what lies below: then tuning runs it once."""
    model, _ = made(name)
    tunable = model.experiment.architecture.tunable
    if not tunable:
        pytest.skip(f"{name} has nothing to tune")
    image = read_image(model.experiment.load_data("val").records[0].image_path)[None, :64, :96]
    outputs, size, valid_size = network_outputs(model.infer_network, image, model.experiment)
    high = {setting: tuned.values[-1] for setting, tuned in tunable.items()}
    dropping = [setting for setting, tuned in tunable.items() if tuned.network_drops_below]
    if dropping:
        scores = np.asarray(outputs["scores"])[0]
        high |= dict.fromkeys(dropping, float(np.median(scores)))
        assert 0 < (scores > high[dropping[0]]).sum() < len(scores)
    other = with_postprocess(name, **high)
    networks = other.architecture.build(other.model, model.categories)
    rebuilt = {weight.path: weight for weight in networks.train.weights}
    for weight in model.weights:
        rebuilt[weight.path].assign(weight)
    found = segments_of_outputs(outputs, size, valid_size, image.shape[1:3], other, model.categories)
    for ours, theirs in zip(found, segment_images(networks.infer, image, other, model.categories), strict=True):
        np.testing.assert_array_equal(ours, theirs)


@pytest.fixture(scope="module")
def jax_results(folder):
    """Results of both backends, computed on JAX in one process for all architectures."""
    pytest.importorskip("jax")
    expected = {}
    for name in MODELS:
        model, batch = made(name)
        arrays = {f"weight:{weight.path}": weight.numpy() for weight in model.weights}
        arrays |= {f"batch:{key}": value.numpy() for key, value in batch.items() if key != "targets"}
        arrays |= {f"targets:{key}": value.numpy() for key, value in batch["targets"].items()}
        np.savez(folder / name / "inputs.npz", categories=model.categories.to_json(), **arrays)
        expected[name] = results_on_tensorflow(model, batch)
    run_child("on_jax.py", folder, KERAS_BACKEND="jax", JAX_PLATFORMS="cpu")
    return {name: (dict(np.load(folder / name / "jax.npz")), expected[name]) for name in MODELS}


def results_on_tensorflow(model, batch) -> dict[str, np.ndarray]:
    architecture, config = model.experiment.architecture, model.experiment.model
    results = {}
    for training in (False, True):
        statistics = [v.numpy() for v in model.non_trainable_variables]
        outputs = model(batch, training=training)
        for variable, value in zip(model.non_trainable_variables, statistics, strict=True):
            variable.assign(value)
        terms = architecture.loss(outputs, batch["targets"], config, model.categories)
        counts = architecture.all_counts(outputs, batch["targets"], config)
        shares = model.loss_shares(outputs, batch["targets"])
        for kind, part in (("output", outputs), ("loss", terms), ("count", counts), ("share", shares)):
            results |= {f"{training}/{kind}/{key}": value.numpy() for key, value in part.items()}
    outputs = model({"image": batch["image"], "valid_size": batch["valid_size"]})
    size = batch["image"].shape[1:3]
    segments = architecture.postprocess(outputs, size, batch["valid_size"], config, model.categories)
    return results | {f"segments/{key}": np.asarray(value) for key, value in segments._asdict().items()}


@pytest.mark.slow
def test_outputs_losses_and_segments_on_jax_are_those_on_tensorflow(name, jax_results):
    ours, theirs = jax_results[name]
    assert ours.keys() == theirs.keys()
    for key, expected in theirs.items():
        if key == "segments/segment_ids":
            assert np.mean(ours[key] == expected) > 0.999
            continue
        # The order of float32 sums differs, and batch statistics of few cells amplify it.
        tolerance = (1e-4 if key.startswith("True") else 1e-5) * expected.std() + 1e-6
        np.testing.assert_allclose(ours[key], expected, rtol=1e-4, atol=tolerance, err_msg=key)


@pytest.fixture(scope="module")
def new_process(folder):
    """A function: name -> a folder with what was saved of an architecture and what a new process made of it."""

    @cache
    def run(name):
        model, _ = made(name)
        record = model.experiment.load_data("val").records[0]
        np.save(folder / name / "image.npy", read_image(record.image_path)[:64, :96])
        model.save(folder / name / "model.keras")
        export_saved_model(model, folder / name / "saved_model")
        run_child("in_new_process.py", folder / name)
        return folder / name

    return run


# Exports take long; demos and tests of exports have other architectures, too.
SAVED = slow("panoptic_fpn", "upsnet", "axial_deeplab", "deeperlab")


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_model_serves_without_keras_and_this_package(name, new_process):
    model, _ = made(name)
    served = np.load(new_process(name) / "served.npz")
    expected = model.segment(np.load(new_process(name) / "image.npy"))
    np.testing.assert_array_equal(served["panoptic"][0], expected.segmentation)
    assert (served["segments"][0, :, 0] > 0).sum() == len(expected.segments_info)


@pytest.mark.parametrize("name", SAVED)
def test_a_saved_model_serves_a_batch_without_an_image(name, new_process):
    served = np.load(new_process(name) / "served.npz")
    for key in ("panoptic", "segments"):
        assert served[f"{key}_of_none"].shape == (0, *served[key].shape[1:])


@pytest.mark.parametrize("name", SAVED)
def test_a_keras_file_loads_in_a_new_process(name, new_process):
    model, _ = made(name)
    reloaded = np.load(new_process(name) / "reloaded.npz")
    for key, expected in model(np.load(new_process(name) / "image.npy")[None]).items():
        np.testing.assert_allclose(reloaded[key], expected, rtol=1e-5, atol=1e-6, err_msg=key)


def test_heads_and_losses_are_float32_in_mixed_precision(name):
    model, batch = segmenter(name, precision="mixed_bfloat16"), made(name)[1]
    outputs = model(batch, training=True)
    assert {keras.backend.standardize_dtype(value.dtype) for value in outputs.values()} <= {"float32", "int32"}
    assert {layer.compute_dtype for layer in model.train_network.layers} >= {"bfloat16"}
    shares = model.loss_shares(outputs, batch["targets"])
    assert all(value.dtype == "float32" and np.isfinite(value) for value in shares.values())
    assert keras.config.dtype_policy().name == "float32"


@pytest.mark.parametrize("name", slow("upsnet", "deeperlab"))
def test_the_doctor_measures_the_ceiling_or_says_that_there_is_no_oracle(name):
    tiny = experiment(name)
    arguments = (tiny.load_data("val"), tiny.architecture, tiny.model, tiny.input)
    if tiny.architecture.oracle is None:
        with pytest.raises(InputError, match=f"no oracle for {name}"):
            ceiling(*arguments, limit=1, cost_images=1)
        return
    numbers = ceiling(*arguments, limit=1, cost_images=1)
    assert 0.3 < numbers["pq"]["all"]["pq"] <= 1 and numbers["costs"]["settings"]


# What is left of the nuclei and their background.
PARTIAL = {
    "instances alone": {"drop": ["background"]},
    "stuff alone": {"categories": {"nucleus": {"thing": False}}},
}
REFUSED = {
    ("upsnet", "instances alone"): "no category of stuff",
    ("upsnet", "stuff alone"): "no category of things",
    ("panoptic_fpn", "stuff alone"): "no category of things",
}


def partial(name, labels):
    settings = experiment(name).to_dict()
    return Experiment.from_dict({**settings, "data": {"name": "nuclei", "remap": PARTIAL[labels]}})


@pytest.mark.slow
@pytest.mark.parametrize("labels", PARTIAL)
@pytest.mark.parametrize("name", [name for name in MODELS if name not in MADE_UP])
def test_partial_labels_train_and_are_evaluated(name, labels):
    """What nobody labelled gives no loss and no number; what is labelled gives both."""
    if (name, labels) in REFUSED:
        pytest.skip("this architecture needs both kinds")
    tiny = partial(name, labels)
    model = PanopticSegmenter(tiny, tiny.load_categories())
    batch = next(iter(model.batches("train", batch_size=2)))
    with tf.GradientTape() as tape:
        shares = model.loss_shares(model(batch, training=True), batch["targets"])
        loss = tf.add_n(list(shares.values()))
    gradients = tape.gradient(loss, model.trainable_variables)
    assert loss > 0 and all(np.isfinite(value) for value in shares.values())
    assert all(gradient is not None and np.isfinite(gradient).all() for gradient in gradients)
    taught = {v.path.split("/")[0] for v, g in zip(model.trainable_variables, gradients, strict=True) if np.any(g)}
    things = labels == "instances alone"
    if name == "eomt":  # one branch for both
        assert taught >= {"class_head", "mask_head", "queries"}
    else:
        semantic, instance = "semantic_head" in taught, taught & {"offset_head", "short_head", "box_head"}
        assert (semantic, bool(instance)) == (not things, things)
    summary = model.evaluate_panoptic("val", limit=1)
    assert {k: summary[k]["pq"] is None for k in ("things", "stuff")} == {"things": not things, "stuff": things}


@pytest.mark.parametrize(("name", "labels"), REFUSED)
def test_an_architecture_that_needs_both_kinds_says_so(name, labels):
    """The network and the doctor alike."""
    tiny = partial(name, labels)
    categories = tiny.load_categories()
    with pytest.raises(SettingError, match=REFUSED[name, labels]):
        tiny.architecture.build(tiny.model, categories)
    with pytest.raises(SettingError, match=REFUSED[name, labels]):
        tiny.architecture.oracle.perfect_outputs(np.zeros((64, 64), np.int32), tiny.model, categories)
