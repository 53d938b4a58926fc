"""What DeeperLab's heads would say of a map at input size, written pixel by pixel; and random outputs."""

import numpy as np
import tensorflow as tf

from tfpanoptic.ops.keypoint_graph import EDGES
from tfpanoptic.targets.keypoints import deeperlab_targets

THING, OTHER_THING = 1, 3
# Categories 1 and 2 are the semantic channels, unless told otherwise.
DEPTHS = {"semantic_logits": 2, "keypoint_logits": 5, "short_offset": 10, "long_offset": 10, "middle_offset": 16}


def targets_of(*panoptic, radius=2, things=(THING,)):
    made = [deeperlab_targets(tf.constant(image, tf.int32), things, radius, max_instances=4) for image in panoptic]
    return {name: tf.stack([targets[name] for targets in made]) for name in made[0]}


def perfect_outputs(targets, image=0, channels=2):
    """Outputs at input size for one image of the targets; the channels are the categories 1, 2, ..."""
    keypoints, disk, instance = (targets[name].numpy()[image] for name in ("keypoints", "disk", "instance"))
    height, width = instance.shape
    made = {name: np.zeros((1, height, width, depth), np.float32) for name, depth in DEPTHS.items()}
    semantic = targets["semantic"].numpy()[image : image + 1]
    made["semantic_logits"] = 1000 * np.eye(channels + 1, dtype=np.float32)[semantic][..., 1:]
    made["keypoint_logits"][0] = np.where(disk >= 0, 1000, -1000)
    for y, x in np.ndindex(height, width):
        for kind in range(5):
            if disk[y, x, kind] >= 0:
                made["short_offset"][0, y, x, 2 * kind : 2 * kind + 2] = keypoints[disk[y, x, kind], kind] - (y, x)
            if instance[y, x] >= 0:
                made["long_offset"][0, y, x, 2 * kind : 2 * kind + 2] = keypoints[instance[y, x], kind] - (y, x)
        for edge, (start, end) in enumerate(EDGES):
            if disk[y, x, start] >= 0:
                made["middle_offset"][0, y, x, 2 * edge : 2 * edge + 2] = keypoints[disk[y, x, start], end] - (y, x)
    return made


def random_outputs(seed, batch, height, width, channels=2):
    random = np.random.default_rng(seed)
    return {
        name: tf.constant(random.normal(size=(batch, height, width, depth)), tf.float32)
        for name, depth in {**DEPTHS, "semantic_logits": channels}.items()
    }
