"""`tfpanoptic models`: what can be built, and what others have trained."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tfpanoptic.presets import Preset


def models() -> None:
    """List the architectures, backbones and datasets that an experiment can name, and published models by name."""
    from rich.console import Console
    from rich.table import Table

    from tfpanoptic.backbones import BACKBONES
    from tfpanoptic.backbones.vit import SIZES
    from tfpanoptic.data import DATASETS
    from tfpanoptic.models import ARCHITECTURES
    from tfpanoptic.presets import DIFFERENCES, PRESETS

    table = Table("kind", "names", box=None)
    kinds = {"architectures": ARCHITECTURES, "backbones": (*BACKBONES, *SIZES), "datasets": DATASETS}
    for kind, names in kinds.items():
        table.add_row(kind, ", ".join(names))
    Console().print(table)
    print(
        "\npublished models, for predict, evaluate, export and PanopticSegmenter.from_preset; the numbers are theirs:"
    )
    for name, preset in PRESETS.items():
        _print(preset)
        # Masks compete at the photo's size where the published numbers come from.
        finer = " model.postprocess.merge_at=file" if preset.source == "eomt" else ""
        print(f"  check it    tfpanoptic evaluate {name}{finer}")
    print(
        "\npublished as differences from DINOv3, to be added to it by yourself; Meta gives it to those who accept its "
        "licence:"
    )
    for difference in DIFFERENCES.values():
        _print(difference.preset)
        print(f"  backbone    {difference.backbone}")
        print(f"  convert it  {difference.command()}")


def _print(preset: Preset) -> None:
    header = preset.header()
    print(f"\n{preset.name}")
    print(f"  published   {header['Published'].partition('. ')[0]}")
    print(f"  parameters  {header['Parameters'].partition('. ')[0]}")
    print(f"  licence     {preset.licence}")
    print(f"  from        {preset.address}")
