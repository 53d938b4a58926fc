"""Merging of mask classification: the stored cases of the original, and scenes drawn by hand."""

import json
import os
import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from tests.postprocess.mask_scenes import CASES, CHANNELS, FOLDER, OFFICIAL, THINGS, found, queries, stored, truth
from tfpanoptic.panoptic_map import encode
from tfpanoptic.postprocess.mask_classification import merge_queries, merge_queries_at_own_size

ROWS = slice(None)


def merge(logits, valid=None, **settings):
    """Merging of drawn queries at their own size."""
    size = logits[1].shape[1:3]
    valid_size = np.array([valid or size] * len(logits[0]), "int32")
    return merge_queries(*logits, size, valid_size, CHANNELS, THINGS, **{**OFFICIAL, **settings})


def labels_of(segments, image=0):
    return np.asarray(segments.labels)[image].tolist()


def panoptic(segments, image=0):
    return np.array([0, *labels_of(segments, image)])[np.asarray(segments.segment_ids)[image]]


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_every_pixel_is_that_of_the_original_at_network_size(case, jit_compile):
    class_logits, masks, told, channels, things = stored(case)
    size, valid = (told["network"],) * 2, np.array([told["scaled"]], "int32")

    @tf.function(jit_compile=jit_compile)
    def run(class_logits, masks):
        return merge_queries(class_logits, masks, size, valid, channels, things, **OFFICIAL)

    category, segment = found(run(class_logits, masks))
    height, width = told["scaled"]
    assert not category[height:].any() and not category[:, width:].any()
    expected = truth(case, "network")
    np.testing.assert_array_equal(category[:height, :width], expected[0])
    np.testing.assert_array_equal(segment[:height, :width], expected[1])


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_every_pixel_is_that_of_the_original_at_the_files_size(case, jit_compile):
    class_logits, masks, told, channels, things = stored(case)
    size, valid = (told["network"],) * 2, np.array([told["scaled"]], "int32")

    @tf.function(jit_compile=jit_compile)
    def run(class_logits, masks):
        own = tuple(told["size"])
        return merge_queries_at_own_size(class_logits, masks, size, valid, own, channels, things, **OFFICIAL)

    segments = run(class_logits, masks)
    category, segment = found(segments)
    expected = truth(case, "file")
    np.testing.assert_array_equal(category, expected[0])
    np.testing.assert_array_equal(segment, expected[1])
    scores = np.asarray(segments.scores)[0]
    np.testing.assert_allclose(
        scores[scores > 0], [entry["score"] for entry in told["transformers_segments"]], atol=1e-6
    )


@pytest.mark.parametrize(("name", "thresholds"), [("official", (0.8, 0.5, 0.8)), ("loose", (0.5, 0.5, 0.15))])
def test_segments_of_a_networks_outputs_are_those_of_transformers(name, thresholds):
    arrays, told = np.load(FOLDER / "network.npz"), json.loads((FOLDER / "network.json").read_text())
    count, sizes = told["classes"], np.array(told["original_sizes"], "int32")
    things = tuple(k + 1 for k in range(count) if k not in told["stuff"])
    logits = arrays["class_logits"], arrays["mask_logits"].transpose(0, 2, 3, 1)
    segments = merge_queries(*logits, (told["network"],) * 2, sizes, (*range(1, count + 1), 0), things, *thresholds)
    run = next(run for run in told["runs"] if run["name"] == name)
    for image, (height, width) in enumerate(sizes):
        _, segment = found(segments, image)
        np.testing.assert_array_equal(segment[:height, :width], arrays[f"panoptic/{name}/{image}"] + 1)
        labels = np.array(labels_of(segments, image))
        classes = [entry["label_id"] + 1 for entry in run["segments"][image]]
        assert (labels[labels > 0] // 10_000).tolist() == classes
        expected = [entry["score"] for entry in run["segments"][image]]
        np.testing.assert_allclose(np.asarray(segments.scores)[image][labels > 0], expected, atol=1e-5)


def test_things_are_numbered_and_stuff_of_one_category_is_joined_in_the_first_row():
    made = queries(
        (3, 0.9, ROWS, slice(0, 2)),
        (0, 0.9),
        (1, 0.95, ROWS, slice(2, 4)),
        (1, 0.85, ROWS, slice(4, 6)),
        (3, 0.99, ROWS, slice(6, 8)),
    )
    segments = merge(made)
    assert labels_of(segments) == [encode(3, 0), encode(1, 1), encode(1, 2), 0, 0, 0]
    np.testing.assert_allclose(np.asarray(segments.scores)[0], [0.9, 0.95, 0.85, 0, 0, 0], rtol=1e-5)
    assert np.asarray(segments.segment_ids)[0, 0].tolist() == [1, 1, 2, 2, 3, 3, 1, 1]


def test_pixels_of_a_dropped_query_are_void():
    # The second wins three of its five columns, which are less than 0.8.
    made = queries((1, 0.95, ROWS, slice(0, 4)), (2, 0.9, ROWS, slice(2, 7)))
    assert panoptic(merge(made))[0].tolist() == [encode(1, 1)] * 4 + [0] * 4
    assert panoptic(merge(made, overlap=0.6))[0].tolist() == [encode(1, 1)] * 4 + [encode(2, 1)] * 3 + [0]


def test_stuff_is_joined_in_the_first_row_that_survives():
    first = (3, 0.9, ROWS, slice(0, 4))
    over = (1, 0.95, ROWS, slice(1, 4))
    made = queries(first, over, (3, 0.85, ROWS, slice(4, 6)), (3, 0.95, ROWS, slice(6, 8)))
    segments = merge(made)
    assert labels_of(segments)[:4] == [0, encode(1, 1), encode(3, 0), 0]
    assert np.asarray(segments.segment_ids)[0, 0].tolist() == [0, 2, 2, 2, 3, 3, 3, 3]


def test_of_equal_products_the_first_query_wins():
    made = queries((1, 0.9, ROWS, slice(0, 4)), (2, 0.9, ROWS, slice(0, 4)))
    assert labels_of(merge(made))[:2] == [encode(1, 1), 0]


def test_a_score_equal_to_the_threshold_is_too_low():
    class_logits = np.full((1, 6, 5), -100.0, "float32")
    class_logits[0, 0, :2], class_logits[0, 1:, 4] = 0.0, 0.0  # two categories of probability one half
    masks = queries((1, 0.9, ROWS, ROWS))[1]
    assert not any(labels_of(merge((class_logits, masks), score=0.5)))
    assert labels_of(merge((class_logits, masks), score=0.499))[0] == encode(1, 1)


def test_a_mask_of_exactly_the_threshold_counts():
    class_logits, masks = queries((1, 0.9, ROWS, ROWS))
    assert labels_of(merge((class_logits, masks * 0)))[0] == encode(1, 1)


def test_padding_counts_nowhere():
    # Of the second query's mask all that another wins lies in the padding.
    made = queries((1, 0.95, slice(2, 4), ROWS), (2, 0.9, ROWS, ROWS))
    assert labels_of(merge(made))[:2] == [encode(1, 1), 0]
    segments = merge(made, valid=(2, 8))
    assert labels_of(segments)[:2] == [0, encode(2, 1)]
    assert not np.asarray(segments.segment_ids)[0, 2:].any()


def test_images_of_a_batch_are_merged_as_they_are_alone():
    """The second has no candidate, the third more than the first."""
    scenes = (
        queries((0, 0.9), (1, 0.95, ROWS, slice(0, 4))),
        queries(),
        queries((3, 0.9, ROWS, slice(0, 3)), (1, 0.7, ROWS, ROWS), (2, 0.9, ROWS, slice(3, 6)), (2, 0.9, ROWS, 6)),
    )
    together = merge(tuple(np.concatenate(parts) for parts in zip(*scenes, strict=True)))
    for image, scene in enumerate(scenes):
        for ours, theirs in zip(together, merge(scene), strict=True):
            np.testing.assert_array_equal(np.asarray(ours)[image], np.asarray(theirs)[0])
    assert not np.asarray(together.segment_ids)[1].any()


def test_sizes_may_be_known_at_run_time_only():
    class_logits, masks, told, channels, things = stored("portrait")
    maps = [tf.TensorSpec([None, *class_logits.shape[1:]]), tf.TensorSpec([None, None, None, masks.shape[3]])]
    pair = tf.TensorSpec([2], tf.int32)

    @tf.function(input_signature=[*maps, pair, tf.TensorSpec([None, 2], tf.int32), pair], autograph=False)
    def run(class_logits, masks, size, valid, own):
        size, own = tf.unstack(size), tf.unstack(own)
        at_own_size = merge_queries_at_own_size(class_logits, masks, size, valid, own, channels, things, **OFFICIAL)
        return merge_queries(class_logits, masks, size, valid, channels, things, **OFFICIAL), at_own_size

    (height, width), sizes = told["scaled"], ([told["network"]] * 2, [told["scaled"]] * 2, told["size"])
    network, file = run(*(np.tile(x, (2,) + (1,) * (x.ndim - 1)) for x in (class_logits, masks)), *sizes)
    for image in range(2):
        np.testing.assert_array_equal(found(network, image)[1][:height, :width], truth("portrait", "network")[1])
        np.testing.assert_array_equal(found(file, image)[1], truth("portrait", "file")[1])


SCRIPT = """
    import sys
    sys.modules["tensorflow"] = None
    import jax
    import numpy as np
    from tests.postprocess.mask_scenes import CASES, OFFICIAL, found, stored, truth
    from tfpanoptic.postprocess.mask_classification import merge_queries, merge_queries_at_own_size
    for case in CASES:
        class_logits, masks, told, channels, things = stored(case)
        size, valid = (told["network"],) * 2, np.array([told["scaled"]], "int32")
        network = jax.jit(lambda *x: merge_queries(*x, size, valid, channels, things, **OFFICIAL))
        file = jax.jit(lambda *x: merge_queries_at_own_size(
            *x, size, valid, tuple(told["size"]), channels, things, **OFFICIAL))
        height, width = told["scaled"]
        for ours, theirs in zip(found(network(class_logits, masks)), truth(case, "network")):
            assert (ours[:height, :width] == theirs).mean() > 0.9999, case
        for ours, theirs in zip(found(file(class_logits, masks)), truth(case, "file")):
            assert (ours == theirs).mean() > 0.9999, case
    print("same")
"""


@pytest.mark.slow
def test_segments_on_jax_are_those_of_the_original():
    pytest.importorskip("jax")
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(SCRIPT)],
        capture_output=True,
        text=True,
        env={**os.environ, "KERAS_BACKEND": "jax", "PYTHONPATH": str(FOLDER.parents[3])},
    )
    assert run.stdout.strip() == "same", run.stderr[-2000:]
