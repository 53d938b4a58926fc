"""Reusable Keras layers with plain arguments, one idea a file."""
