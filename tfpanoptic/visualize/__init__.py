"""Pictures of segment maps: colours, labels, overlays. NumPy and Pillow only."""
