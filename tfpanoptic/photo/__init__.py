"""Photos as pixels, from whatever file a person has of them. NumPy and Pillow only."""
