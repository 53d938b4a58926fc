"""The parts of the augmentation of `data/augment.py`, one idea a file."""
