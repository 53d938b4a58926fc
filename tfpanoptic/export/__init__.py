"""Export of trained models: one file and one line here a format."""

from tfpanoptic.export.saved_model import export_saved_model

EXPORTERS = {"saved_model": export_saved_model}
