"""Pure functions: outputs and targets -> one float32 value an image, unweighted."""
