"""EoMT learns eight scenes by heart: queries, matching, losses and merging belong together."""

import pytest

from tests.models.eight_scenes import pq_of_eight_scenes

# Own choice, narrow enough for minutes on two cores. Nothing is learned before, so the blocks' branches begin at 1.
MODEL = {
    "name": "eomt",
    "backbone": {
        "name": "vit_tiny",
        "width": 96,
        "depth": 4,
        "heads": 4,
        "positions": [16, 16],
        "layer_scale": 1.0,
    },
    "queries": 16,
    "query_blocks": 2,
    "masked_attention": {"steps": 500},
    "targets": {"max_segments": 16, "points": 2048},
    "postprocess": {"score": 0.5},
}


@pytest.mark.slow
def test_eight_scenes_are_learned_to_a_pq_above_nine_tenths(tmp_path):
    assert pq_of_eight_scenes(MODEL, tmp_path, steps=500, learning_rate=1e-3, side=256) > 0.9
