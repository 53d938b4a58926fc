"""Axial-DeepLab: Panoptic-DeepLab on a backbone that attends along rows and columns, without pyramids.

Wang et al. 2020, in the form of DeepLab2: one 1x1 projection stands in the place of each ASPP, for the backbone has
seen the whole image already. Everything else, training and post-processing included, is Panoptic-DeepLab's.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from tfpanoptic.backbones import BACKBONES
from tfpanoptic.models import panoptic_deeplab
from tfpanoptic.models.panoptic_deeplab import (
    INSTANCE_BRANCH,
    SEMANTIC_BRANCH,
    BranchConfig,
    LossWeights,
    PostprocessConfig,
    TargetsConfig,
)
from tfpanoptic.settings.config import Named, StrictConfig
from tfpanoptic.settings.norm import NormConfig


class AxialDeepLabConfig(StrictConfig):
    """All settings of the model; they mean what those of Panoptic-DeepLab do."""

    name: Literal["axial_deeplab"] = "axial_deeplab"
    backbone: Annotated[Any, Named(BACKBONES)]
    normalization: Literal["symmetric", "per_image"] = "symmetric"
    norm: NormConfig = NormConfig()
    align_corners: bool = True
    # Panoptic-DeepLab's functions read it: no pyramid.
    aspp_rates: ClassVar[tuple[int, ...]] = ()
    separable: bool = True
    kernel_size: int = Field(5, ge=1)
    semantic: BranchConfig = SEMANTIC_BRANCH
    instance: BranchConfig = INSTANCE_BRANCH
    void_channel: bool = False
    semantic_top_k: float = Field(0.2, gt=0, le=1)
    loss_weights: LossWeights = LossWeights()
    targets: TargetsConfig = TargetsConfig()
    postprocess: PostprocessConfig = PostprocessConfig()


ARCHITECTURE = replace(panoptic_deeplab.ARCHITECTURE, name="axial_deeplab", config=AxialDeepLabConfig)
