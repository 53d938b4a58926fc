"""What `tfpanoptic data check` and `doctor` look at unless their options say otherwise."""

from __future__ import annotations

LAYOUT = "a folder with images/, panoptic/ and panoptic.json (or with one for each split), or a panoptic JSON"
# Datasets that need no files of a person's own.
BUNDLED = ("nuclei", "shapes")
# Images of which the ceiling is measured unless --limit says otherwise.
CEILING_IMAGES = 200
