"""Export of trained models: one file and one line here a format.

What needs a runtime imports it where it is used: an artefact is opened without the others.
"""

from tfpanoptic.export import litert, onnx, saved_model
from tfpanoptic.export.format import Format

FORMATS: dict[str, Format] = {
    "saved_model": saved_model.FORMAT,
    "litert": litert.FORMAT,
    "onnx": onnx.FORMAT,
}
