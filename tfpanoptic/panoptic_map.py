"""The panoptic map: the form of a label image inside graphs.

int32 `[..., H, W]`, `category * LABEL_DIVISOR + instance`. 0 is void, and so is padding with zeros.
Stuff has instance 0, things count from 1 within their category; a thing with instance 0 is a crowd
(truth only). The functions use operators alone, so they take NumPy arrays and the tensors of every
backend.
"""

LABEL_DIVISOR = 10_000
VOID = 0
MAX_INSTANCE = LABEL_DIVISOR - 1
# The largest category whose labels stay below 2**24: exact in float32 and in a 24-bit PNG.
MAX_CATEGORY = 1_676


def encode(category, instance):
    """Panoptic map of a category map and an instance map, both int32 `[..., H, W]`."""
    return category * LABEL_DIVISOR + instance


def category_of(panoptic):
    """Category ids, int32 `[..., H, W]`, 0 where void."""
    return panoptic // LABEL_DIVISOR


def instance_of(panoptic):
    """Instance numbers within their category, int32 `[..., H, W]`, 0 for stuff, crowd and void."""
    return panoptic % LABEL_DIVISOR
