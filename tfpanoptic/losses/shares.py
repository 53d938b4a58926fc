"""From loss terms of images to the loss of a global batch, on one device and on replicas."""

from __future__ import annotations

from keras import ops

from tfpanoptic.ops.replicas import global_sums


def weighted_shares(terms: dict, weights: dict[str, float], counts: dict, images=None) -> dict:
    """The part that this replica has in each weighted term; the parts of all terms and replicas add up to the loss.

    A term is summed over the images and divided by the sum of its counts over the global batch. No gradient flows
    through counts, and a term of which no image has anything to count is 0.

    Args:
        terms: name -> float32 [B].
        weights: name -> its weight.
        counts: name -> float32 [B]; a term without one is divided by the number of images. Those of a batch that is
            worked on in parts may be of the whole batch: then the parts' shares add up.
        images: float32 [B], a 1 for each image; None stands for those of the terms.

    Returns:
        name -> float32 scalar.

    Source: DETR divides by the number of boxes of the global batch in this way (`models/detr.py`, `num_boxes`).
    """
    if images is None:
        images = ops.ones_like(next(iter(terms.values())))
    totals = global_sums({"": images, **{name: ops.stop_gradient(count) for name, count in counts.items()}})
    shares = {name: ops.divide_no_nan(ops.sum(term), totals.get(name, totals[""])) for name, term in terms.items()}
    return {name: weights[name] * share for name, share in shares.items()}
