"""`tfpanoptic data convert`: sets in other formats as a folder in COCO panoptic format."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from tfpanoptic.errors import InputError


def data_convert(
    source: Annotated[Path, typer.Argument(metavar="SRC", help="File or folder of the set, as its kind wants it.")],
    kind: Annotated[
        str,
        typer.Option("--from", help="coco-instances, coco-panoptic, cityscapes, label-maps, labelme or panoptic-2ch."),
    ] = ...,  # type: ignore[assignment]
    out: Annotated[Path, typer.Option(help="Folder for images/, panoptic/, panoptic.json and conversion.json.")] = ...,  # type: ignore[assignment]
    images: Annotated[
        Path | None, typer.Option(help="Folder of the photos; by default images/ beside the truth.")
    ] = None,
    panoptic: Annotated[Path | None, typer.Option(help="Folder of the PNGs of a panoptic JSON.")] = None,
    categories: Annotated[
        Path | None,
        typer.Option(help="JSON list of id, name, isthing; or YAML, id: {name: cell, thing: true}. For maps, labelme."),
    ] = None,
    stuff: Annotated[str, typer.Option(help="Names of categories that are stuff, with commas between.")] = "",
    rest: Annotated[
        str | None, typer.Option(help="Name of a stuff category for pixels that are nothing else; void without it.")
    ] = None,
    overlap: Annotated[
        str | None,
        typer.Option(
            help="Which object is on top: smaller (coco-instances' default) or later in the file (labelme's)."
        ),
    ] = None,
    stuff_maps: Annotated[
        Path | None, typer.Option(help="Folder of grey PNGs of category ids, for pixels without an object.")
    ] = None,
    stuff_categories: Annotated[Path | None, typer.Option(help="JSON or YAML of their categories.")] = None,
    stuff_offset: Annotated[
        int | None, typer.Option(help="Added to their values; 1 for COCO's stuffthingmaps, whose 255 is void.")
    ] = None,
    void: Annotated[list[int] | None, typer.Option(help="Value of maps that is void; repeatable.")] = None,
    instances: Annotated[
        Path | None, typer.Option(help="Folder of instance maps, where SRC is one of semantic maps.")
    ] = None,
    instance_only: Annotated[
        str | None, typer.Option(help="SRC has instance maps alone, of things of this name; 0 is void.")
    ] = None,
    components: Annotated[
        bool, typer.Option("--components", help="Instances are the connected parts of a thing category.")
    ] = False,
    crowd: Annotated[
        int | None, typer.Option(help="Instance number of crowds in two-channel PNGs: 255; -1 for none.")
    ] = None,
    no_crowds: Annotated[
        bool, typer.Option("--no-crowds", help="Take objects with iscrowd 1 for single ones, as some tools mean them.")
    ] = False,
    split: Annotated[str | None, typer.Option(help="Part of Cityscapes: train, val or test.")] = None,
    photos: Annotated[str, typer.Option(help="copy; hard-link (same file system), or symlink (absolute).")] = "copy",
    drawn_on: Annotated[
        str,
        typer.Option(help="What the truth of photos with an EXIF orientation lies on: upright, stored; auto, by size."),
    ] = "auto",
    skip_missing: Annotated[
        bool, typer.Option("--skip-missing", help="Leave out images whose photo is not on the disk.")
    ] = False,
    skip_damaged: Annotated[
        bool, typer.Option("--skip-damaged", help="Leave out images whose photo or truth cannot be used.")
    ] = False,
    workers: Annotated[int, typer.Option(min=0, help="Threads; 0: one a core.")] = 0,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace the folder if it exists.")] = False,
) -> None:
    """Convert a set to COCO panoptic format; what is dropped or changed is counted and named."""
    from tfpanoptic.atomic import require_free
    from tfpanoptic.data.coco_writer import CONTENTS, DRAWN_ON, PHOTOS, WriteOptions, write_source
    from tfpanoptic.data.conversions import CONVERSIONS, ConversionOptions
    from tfpanoptic.data.conversions.source import OVERLAPS

    choices = {
        "--from": (kind, tuple(CONVERSIONS)),
        "--overlap": (overlap, (None, *OVERLAPS)),
        "--photos": (photos, PHOTOS),
        "--drawn-on": (drawn_on, DRAWN_ON),
    }
    for name, (value, allowed) in choices.items():
        if value not in allowed:
            raise InputError(f"{name}: expected one of {', '.join(filter(None, allowed))}, found {value!r}")
    conversion = CONVERSIONS[kind]
    options = ConversionOptions(
        images=images,
        panoptic=panoptic,
        categories=categories,
        rest=rest,
        overlap=overlap,
        stuff_maps=stuff_maps,
        stuff_categories=stuff_categories,
        stuff_offset=stuff_offset,
        instances=instances,
        instance_only=instance_only,
        components=components,
        crowd=crowd,
        no_crowds=no_crowds,
        split=split,
        stuff=tuple(name.strip() for name in stuff.split(",") if name.strip()),
        void=tuple(void or ()),
    )
    for name in options.given():
        if name not in conversion.options:
            taken = ", ".join(f"--{option.replace('_', '-')}" for option in conversion.options)
            raise InputError(f"--{name.replace('_', '-')}: not for --from {kind}, which takes {taken}")
    require_free(out, CONTENTS, overwrite)
    if not source.exists():
        raise InputError(f"{source}: no such file or folder; expected {conversion.source}")
    opened = conversion.open(source, options)
    given = {name: str(value) if isinstance(value, Path) else value for name, value in options.given().items()}
    writing = WriteOptions(overwrite, photos, drawn_on, skip_missing, skip_damaged, workers)
    report = write_source(opened, out, writing, {"from": kind, "source": str(source), "options": given})
    _print_report(report, out)


def _print_report(report: dict[str, Any], out: Path) -> None:
    """What became of what, and how much was written."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    if report["changes"]:
        table = Table("", "count", "what", box=None)
        table.columns[1].justify = "right"
        for change in report["changes"]:
            more = ", ..." if change["count"] > len(change["examples"][:3]) else ""
            examples = f"[dim]{escape(', '.join(change['examples'][:3]))}{more}[/dim]"
            table.add_row(change["became"], str(change["count"]), f"{escape(change['what'])}\n{examples}")
        Console().print(table, highlight=False)
    crowds = f" ({report['crowds']} crowds)" if report["crowds"] else ""
    print(f"{report['images']} images, {report['segments']} segments{crowds}: {out}/panoptic.json")
