import pytest

from tfpanoptic.export.saved_model import export_saved_model
from tfpanoptic.segmenter import PanopticSegmenter


@pytest.fixture(scope="session")
def exported(tiny_run, tmp_path_factory):
    """A tiny trained model and its SavedModel."""
    segmenter = PanopticSegmenter.from_preset(tiny_run)
    folder = tmp_path_factory.mktemp("export") / "model"
    export_saved_model(segmenter, folder)
    return segmenter, folder
