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
_ADE20K = "ADE20K's terms: research and education, no commercial use"
_HUB = "https://huggingface.co"
# Name of each file in the repositories on the hub that EoMT's model zoo names.
_HUB_FILE = "pytorch_model.bin"


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
    def file(self) -> str:
        """Name under which its file is kept: its own; after the repository's on the hub, where all are called alike."""
        place, _, name = self.address.rpartition("/")
        return f"{place.split('/')[4]}_{name}" if self.address.startswith(f"{_HUB}/") else name

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


def _eomt(config: str, repository: str) -> Preset:
    # The cards of the files on the hub, which may say more, were not read.
    data = _COCO if "ade20k" not in repository else f"{_ADE20K}; {_COCO}"
    licence = f"EoMT's repository is MIT and says nothing else of the weights; backbone DINOv2, Apache-2.0; {data}"
    return Preset(f"eomt/{config}.yaml", "eomt", f"{_HUB}/tue-mps/{repository}/resolve/main/{_HUB_FILE}", licence)


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
# Source: EoMT's `model_zoo/dinov2.md`. None of these files was downloaded yet: the addresses are as written there.
_EOMT = {
    "small_640_coco": "coco_panoptic_eomt_small_640_2x",
    "base_640_coco": "coco_panoptic_eomt_base_640_2x",
    "large_640_coco": "coco_panoptic_eomt_large_640",
    "large_1280_coco": "coco_panoptic_eomt_large_1280",
    "large_640_ade20k": "ade20k_panoptic_eomt_large_640",
    "large_1280_ade20k": "ade20k_panoptic_eomt_large_1280",
}
PRESETS = {
    preset.name: preset
    for preset in (
        *(_detectron2(f"panoptic_fpn/{config}", file) for config, file in _PANOPTIC_FPN.items()),
        *(_deeplab2(f"panoptic_deeplab/{config}", archive) for config, archive in _PANOPTIC_DEEPLAB.items()),
        *(_deeplab2(f"axial_deeplab/{config}", archive) for config, archive in _AXIAL_DEEPLAB.items()),
        *(_eomt(config, repository) for config, repository in _EOMT.items()),
    )
}


class Difference(NamedTuple):
    """A published model that is no preset, because it is a difference from weights that only Meta may hand out.

    Attributes:
        preset: its configuration and file.
        backbone: where the weights are that it is to be added to.
    """

    preset: Preset
    backbone: str

    def command(self) -> str:
        """How it becomes a weight file, once both files are there."""
        return (
            f"tfpanoptic weights convert {_HUB_FILE} --from eomt --backbone model.safetensors "
            f"--config {self.preset.path} --out {self.preset.name}.safetensors"
        )


def _difference(config: str, repository: str, backbone: str) -> Difference:
    licence = f"differences: MIT (EoMT's repository); with the backbone added: DINOv3 License (Meta); {_COCO}"
    preset = _eomt(config, repository)._replace(licence=licence)
    return Difference(preset, f"{_HUB}/facebook/dinov3-{backbone}-pretrain-lvd1689m/resolve/main/model.safetensors")


# Source: EoMT's `model_zoo/dinov3.md`; the backbones' addresses: the converter of `transformers`, `models/eomt_dinov3`.
DIFFERENCES = {
    difference.preset.name: difference
    for difference in (
        _difference("small_640_dinov3_coco", "coco_panoptic_eomt_small_640_dinov3", "vits16"),
        _difference("base_640_dinov3_coco", "coco_panoptic_eomt_base_640_dinov3", "vitb16"),
        _difference("large_640_dinov3_coco", "coco_panoptic_eomt_large_640_dinov3", "vitl16"),
        _difference("large_1280_dinov3_coco", "coco_panoptic_eomt_large_1280_dinov3", "vitl16"),
    )
}
