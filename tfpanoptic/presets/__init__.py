"""Presets: models that others have trained and published, by name.

A preset names a configuration of ours, the file with its weights and the project whose converter reads it. Fetched, it
is a run folder in the cache, so whatever takes a run folder takes its name. Nothing here was measured by us: the
published numbers are their authors'.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

_CITYSCAPES = "Cityscapes' terms: research, no commercial use"
_COCO = "COCO's photos have licences of their own"
_DEEPLAB2 = "https://storage.googleapis.com/gresearch/tf-deeplab/checkpoint"
_DETECTRON2 = "https://dl.fbaipublicfiles.com/detectron2/COCO-PanopticSegmentation"


class Preset(NamedTuple):
    """Published weights of one of our configurations.

    Attributes:
        config: its YAML, from the folder of configurations.
        source: the project whose converter reads the file.
        address: of the file.
        licence: what its authors say, and whose data it was trained on.
    """

    config: str
    source: str
    address: str
    licence: str

    @property
    def name(self) -> str:
        """The name that people give: the configuration's, with its folder."""
        return self.config.removesuffix(".yaml").replace("/", "_")

    @property
    def path(self) -> Path:
        """Its YAML: beside the modules where the package is installed, in `configs/` of a checkout."""
        package = Path(__file__).parents[1]
        installed = package / "configs"
        return (installed if installed.is_dir() else package.parent / "configs") / self.config

    def header(self) -> dict[str, str]:
        """The lines on top of its YAML by their keys: `Paper`, `Published`, `Parameters`, `Command`."""
        lines = self.path.read_text(encoding="utf-8").splitlines()
        pairs = (line.removeprefix("# ").partition(": ") for line in lines[1:5])
        return {key: value for key, _, value in pairs}


def _deeplab2(config: str, archive: str) -> Preset:
    data = _COCO if "_coco" in archive else _CITYSCAPES
    licence = f"DeepLab2 is Apache-2.0 and says nothing of the weights; {data}"
    return Preset(f"{config}.yaml", "deeplab2", f"{_DEEPLAB2}/{archive}.tar.gz", licence)


def _detectron2(config: str, file: str) -> Preset:
    licence = f"CC BY-SA 3.0 (Detectron2's model zoo); {_COCO}"
    return Preset(f"{config}.yaml", "detectron2", f"{_DETECTRON2}/{file}.pkl", licence)


# Configuration of that architecture -> the published file.
# Source: DeepLab2's `g3doc/projects/{panoptic_deeplab,axial_deeplab}.md`.
_PANOPTIC_DEEPLAB = {
    "mobilenet_v3_small_os16_cityscapes": "mobilenet_v3_small_os16_panoptic_deeplab_cityscapes_dwo",
    "mobilenet_v3_large_os16_cityscapes": "mobilenet_v3_large_os16_panoptic_deeplab_cityscapes_dwo",
    "resnet50_os32_cityscapes": "resnet50_os32_panoptic_deeplab_cityscapes_trainfine",
    "resnet50_beta_os32_cityscapes": "resnet50_beta_os32_panoptic_deeplab_cityscapes_trainfine",
    "wide_resnet41_os16_cityscapes": "wide_resnet41_os16_panoptic_deeplab_cityscapes_trainfine",
    "swidernet_sac_1_1_1_os16_cityscapes": "swidernet_sac_1_1_1_os16_panoptic_deeplab_cityscapes_trainfine",
    "swidernet_sac_1_1_3_os16_cityscapes": "swidernet_sac_1_1_3_os16_panoptic_deeplab_cityscapes_trainfine",
    "swidernet_sac_1_1_4.5_os16_cityscapes": "swidernet_sac_1_1_4.5_os16_panoptic_deeplab_cityscapes_trainfine",
    "resnet50_os32_coco": "resnet50_os32_panoptic_deeplab_coco_train_2",
    "resnet50_beta_os32_coco": "resnet50beta_os32_panoptic_deeplab_coco_train",
    "resnet50_os16_coco": "resnet50_os16_panoptic_deeplab_coco_train",
    "resnet50_beta_os16_coco": "resnet50beta_os16_panoptic_deeplab_coco_train",
}
_AXIAL_DEEPLAB = {
    "max_deeplab_s_backbone_cityscapes": "max_deeplab_s_backbone_os16_axial_deeplab_cityscapes_trainfine",
    "max_deeplab_l_backbone_cityscapes": "max_deeplab_l_backbone_os16_axial_deeplab_cityscapes_trainfine",
    "axial_swidernet_1_1_1_cityscapes": "axial_swidernet_1_1_1_os16_axial_deeplab_cityscapes_trainfine",
    "axial_swidernet_1_1_3_cityscapes": "axial_swidernet_1_1_3_os16_axial_deeplab_cityscapes_trainfine",
    "axial_swidernet_1_1_4.5_cityscapes": "axial_swidernet_1_1_4.5_os16_axial_deeplab_cityscapes_trainfine",
}
# Source: Detectron2's `MODEL_ZOO.md`.
_PANOPTIC_FPN = {
    "resnet50_coco": "panoptic_fpn_R_50_3x/139514569/model_final_c10459",
    "resnet101_coco": "panoptic_fpn_R_101_3x/139514519/model_final_cafdb1",
}
PRESETS = {
    preset.name: preset
    for preset in (
        *(_detectron2(f"panoptic_fpn/{config}", file) for config, file in _PANOPTIC_FPN.items()),
        *(_deeplab2(f"panoptic_deeplab/{config}", archive) for config, archive in _PANOPTIC_DEEPLAB.items()),
        *(_deeplab2(f"axial_deeplab/{config}", archive) for config, archive in _AXIAL_DEEPLAB.items()),
    )
}
