"""Training of a model on eight scenes of `shapes`, until it knows them by heart."""

from tfpanoptic.experiment import Experiment
from tfpanoptic.train.loop import train


def pq_of_eight_scenes(model: dict, folder, steps: int, learning_rate: float, side: int = 128) -> float:
    """PQ, 0..1, on the scenes that a model of these settings was trained on.

    Args:
        model: the section of the configuration.
        folder: for the scenes and the run.
        steps: of eight crops.
        learning_rate: at the end of the warm-up.
        side: of the square to which scenes of 128 x 128 pixels are enlarged.
    """
    settings = {
        "data": {"name": "shapes", "train_images": 8, "val_images": 1, "folder": str(folder / "shapes")},
        "input": {"long_side": side, "pad_to": [side, side]},
        "augment": {"crop": [side, side], "flip_horizontal": False},
        "model": model,
        "training": {
            "steps": steps,
            "batch_size": 8,
            "optimizer": {"name": "adamw", "learning_rate": learning_rate, "weight_decay": 1e-4, "clip_norm": 5.0},
            "schedule": {"name": "cosine", "warmup_steps": 20},
            "evaluate_every": steps,
            "checkpoint_every": steps,
        },
    }
    segmenter = train(Experiment.from_dict(settings), folder / "run")
    return segmenter.evaluate_panoptic("train")["all"]["pq"]
