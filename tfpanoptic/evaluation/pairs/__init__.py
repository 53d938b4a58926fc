"""Truth and prediction of images as files, paired and checked: one file a format."""
