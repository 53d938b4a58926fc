"""When the attention masks of a mask transformer go: each query block's share of masked queries falls from 1 to 0."""

from __future__ import annotations


def annealing_steps(steps: int, blocks: int) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """The steps between which the masks of each query block go, one block after the other.

    A run is cut into `blocks + 2` phases of equal length. Block j, from 0, keeps all its masks until phase j + 1 begins
    and has none from its end on; so every block is masked in the first phase, and none in the last.

    Args:
        steps: length of the run.
        blocks: number of query blocks.

    Returns:
        The first step of each block's phase, and the first step after it; rounded down where the phases are no whole
        numbers of steps.

    Raises:
        ValueError: fewer than one step a phase.

    Source: Kerssies et al. 2025, Your ViT is Secretly an Image Segmentation Model; the numbers of its configuration
    of EoMT-L. Those of S and B are other ones, with half a phase between the blocks.
    """
    phases = blocks + 2
    if blocks < 1 or steps < phases:
        raise ValueError(f"{blocks} query blocks need at least {max(phases, 3)} steps, got {steps}")
    bounds = [steps * phase // phases for phase in range(1, phases)]
    return tuple(bounds[:-1]), tuple(bounds[1:])
