"""What a converter sees of a Keras variable."""

import numpy as np


class Weight:
    """A path and a shape; what it is set to is kept."""

    def __init__(self, path, shape):
        self.path, self.shape, self.value = path, shape, None

    def assign(self, value):
        assert value.shape == self.shape and value.dtype == np.float32
        self.value = value
