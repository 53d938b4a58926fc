"""What a comparison of an export with its model found, and whether that is good enough."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from tfpanoptic.errors import WorkFailed
from tfpanoptic.export.quantities import counted, percent
from tfpanoptic.version import __version__

# Least agreement (PQ against the model) and largest mean difference of a score, by the precision of an export's
# numbers. Own choice. 8 bits change what is found, so that only PQ against truth says whether it is good enough.
AGREEMENT = {"none": (0.999, 1e-3), "float16": (0.99, 1e-2)}
# PQ that 8 bits may cost.
MAX_DROP = 0.02


@dataclass(frozen=True)
class Latency:
    """Times of the calls with one image after another, seconds.

    Attributes:
        median, p95: of the calls that were timed; 95 of 100 are not slower than p95.
        first: the first call of all, not among them.
        calls: how many were timed.
    """

    median: float
    p95: float
    first: float
    calls: int

    @classmethod
    def of(cls, seconds: Sequence[float], first: float) -> Latency:
        """Of measured times."""
        return cls(float(np.median(seconds)), float(np.percentile(seconds, 95)), first, len(seconds))


@dataclass(frozen=True)
class Limits:
    """What is asked of an export; None asks nothing.

    Attributes:
        agreement: least PQ against the model, on images that both see in the same size.
        score_difference: of matched segments, mean.
        drop: most PQ that may be lost against truth.
    """

    agreement: float | None
    score_difference: float | None
    drop: float | None

    @classmethod
    def of(cls, quantize: str, max_drop: float | None, truth: bool, alike: int, images: int) -> Limits:
        """The limits of an export.

        Args:
            quantize: precision of its numbers, "none" for float32.
            max_drop: the drop allowed, in place of the default: `MAX_DROP` for numbers of 8 bits and for an export
                that sees some images in another size, else none.
            truth: whether there is any to lose PQ against.
            alike: number of images that model and export see in the same size.
            images: number of images.
        """
        agreement, score = AGREEMENT.get(quantize, (None, None)) if alike else (None, None)
        if max_drop is None and (agreement is None or alike < images):
            max_drop = MAX_DROP
        return cls(agreement, score, max_drop if truth else None)


@dataclass(frozen=True)
class Verification:
    """A comparison of an export with its model on the same images.

    Attributes:
        artefact, format, options: what was compared, and what `export` was given.
        images: how many.
        size: (h, w) that the export is fixed to, else None; `shrunk` photos are larger, `padded` ones get more padding
            than in the model, so that the network sees something else.
        model_pq, pq: of the model and of the export against truth, as `panoptic_quality.summarize` gives it; None
            without truth.
        agreement: PQ of the export against the model's results, of all images; `agreement_alike` of those that both
            see in the same size.
        score_difference: mean difference of the scores of segments that match.
        model_latency, latency: of the model in this process, of the export in its own.
        open_seconds: the export takes to open.
        threads: of both.
        model_bytes, bytes: of the model's weights and of the export.
        memory_opened, memory_peak: bytes of the export's process when it was open and at most, None where unknown.
        limits: what is asked of it.
        runtime: module -> version, of those that the export's process has loaded.
        packages: versions of what is installed.
        machine: processor, cores, system; `model_device`, where the model ran.
        date: of the comparison.
    """

    artefact: str
    format: str
    options: dict[str, Any]
    images: int
    size: tuple[int, int] | None
    shrunk: int
    padded: int
    model_pq: dict[str, Any] | None
    pq: dict[str, Any] | None
    agreement: dict[str, Any]
    agreement_alike: dict[str, Any]
    score_difference: float
    model_latency: Latency
    latency: Latency
    open_seconds: float
    threads: int
    model_bytes: int
    bytes: int
    memory_opened: int | None
    memory_peak: int | None
    limits: Limits
    runtime: dict[str, str]
    packages: dict[str, str]
    machine: dict[str, Any]
    date: str

    @property
    def drop(self) -> float | None:
        """PQ that the export loses against the model, a fraction; None without truth or without any segment."""
        if self.model_pq is None or self.pq is None or None in (self.model_pq["all"]["pq"], self.pq["all"]["pq"]):
            return None
        return self.model_pq["all"]["pq"] - self.pq["all"]["pq"]

    @property
    def alike(self) -> int:
        """Number of images that both networks see in the same size."""
        return self.images - self.shrunk - self.padded

    def failures(self) -> list[str]:
        """What is not good enough, a phrase each."""
        told, limits, agreement = [], self.limits, self.agreement_alike["all"]["pq"]
        if limits.agreement is not None and agreement is not None and agreement < limits.agreement:
            told.append(f"agreement with the model is PQ {agreement:.4f}, expected {limits.agreement} at least")
        if limits.score_difference is not None and not self.score_difference <= limits.score_difference:
            expected = f"expected {limits.score_difference:.0e} at most"
            told.append(f"scores differ by {self.score_difference:.1e} on average, {expected}")
        if limits.drop is not None and self.drop is not None and self.drop > limits.drop:
            told.append(f"PQ drops by {self.drop:.4f}, expected {limits.drop} at most")
        return told

    @property
    def passed(self) -> bool:
        """Whether the export is good enough."""
        return not self.failures()

    def require(self) -> None:
        """Raises WorkFailed, which names what is not good enough, if anything is."""
        if not self.passed:
            raise WorkFailed(f"{self.artefact}: is not the model: {'; '.join(self.failures())}")

    def to_dict(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return {
            "tfpanoptic": __version__,
            **asdict(self),
            "drop": self.drop,
            "passed": self.passed,
            "failures": self.failures(),
        }

    def __str__(self) -> str:
        """One line."""
        lost = "" if self.drop is None else f", {percent(self.drop, 2)} points of PQ lost"
        return (
            f"export against model on {counted(self.images, 'image')}: "
            f"PQ {percent(self.agreement['all']['pq'], 2)}{lost}"
        )
