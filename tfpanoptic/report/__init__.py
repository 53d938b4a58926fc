"""The report of an evaluation as one HTML file."""

from tfpanoptic.report.page import WORST, write_report

__all__ = ["WORST", "write_report"]
