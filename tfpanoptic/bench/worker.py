"""The process that a measurement runs in; beside exports it opens the model itself, as `segment` runs it."""

from __future__ import annotations

import numpy as np

from tfpanoptic.export.worker import Job, Segment, main
from tfpanoptic.result import PanopticResult

# The name of the model itself among the formats.
KERAS = "keras"


def open_model(job: Job) -> Segment:
    """The model of a run folder or preset, with the overrides of the job's options, one image at a time."""
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(job.threads)
    tf.config.threading.set_inter_op_parallelism_threads(job.threads)
    from tfpanoptic.segmenter import PanopticSegmenter

    segmenter = PanopticSegmenter.from_preset(job.path, job.options.get("overrides", ()))

    def segment(images: np.ndarray) -> list[PanopticResult]:
        return [segmenter.segment(image) for image in images]

    return segment


if __name__ == "__main__":
    main({KERAS: open_model})
