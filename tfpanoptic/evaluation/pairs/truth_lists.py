"""The lists of a truth's panoptic JSON as an evaluation takes them, which is more lenient than a dataset."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from tfpanoptic.errors import Problems, Sink

# What `read_images` finds on one list alone, for messages.
ALONE = {
    "image-without-annotation": "images of the truth without an annotation",
    "annotation-without-image": "annotations of the truth without an image in its list images",
}
# What `true_segments` says of an area that is missing, no number or below 0.
WRONG_AREA = re.compile(r"\]: (lacks area|area must be)\b")


class Alone:
    """Images of the truth without an annotation and annotations without an image.

    Args:
        gt: the truth's JSON.
        subset: whether they are passed over.
    """

    def __init__(self, gt: Path, subset: bool):
        self.gt, self.subset = gt, subset
        self._messages: dict[str, list[str]] = {code: [] for code in ALONE}

    def sink(self, problems: Problems) -> Sink:
        """Takes what `read_images` finds; all else that is wrong goes to `problems`, with the way out for areas.

        Images of one file name, as frames of two videos are, are told apart by their ids.
        """
        other = problems.of(self.gt)

        def sink(code: str, message: str) -> None:
            if code in self._messages:
                self._messages[code].append(message)
            elif code == "area-differs" or (code == "segment-invalid" and WRONG_AREA.search(message)):
                other(code, f"{message}; --pixel-areas counts its pixels instead")
            elif code != "file-name-twice":
                other(code, message)

        return sink

    def tell(self, problems: Problems) -> list[str]:
        """The notes about what is passed over; a problem, if that is not allowed."""
        found = [(ALONE[code], messages) for code, messages in self._messages.items() if messages]
        lines = [f"{self.gt}: {len(messages)} {what}, first {messages[0]}" for what, messages in found]
        if self.subset:
            return [f"{line}; passed over" for line in lines]
        for line in lines:
            problems.add(f"{line}; correct their ids, or, if they are left out on purpose, --subset passes over them")
        return []


def without_areas(annotation: Any) -> Any:
    """The annotation with segments of area 0; what is no annotation as it is."""
    if not isinstance(annotation, dict) or not isinstance(annotation.get("segments_info"), list):
        return annotation
    segments = [{**each, "area": 0} if isinstance(each, dict) else each for each in annotation["segments_info"]]
    return {**annotation, "segments_info": segments}
