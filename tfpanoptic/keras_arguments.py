"""What Keras' own methods may be given for a segmenter, whose losses, targets and precision are its own.

Keras would pass over such arguments in silence, or fail on them after a long trace with a message about itself.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from typing import Any

import keras

from tfpanoptic.errors import InputError

_BATCHES = 'expected batches with targets, as `batches("train")` and `batches("val")` give them'

_KERAS_FILE = (
    "expected a name that ends in .keras; a folder for predict, evaluate and export is written by save_preset, "
    "a SavedModel by export, weights alone by save_weights_file"
)


def require_policy(precision: str) -> None:
    """Checks the global dtype policy against the configuration's, which is the one that holds.

    Raises:
        InputError: it is neither Keras' default nor the configuration's.
    """
    policy = keras.config.dtype_policy().name
    if policy not in ("float32", precision):
        raise InputError(
            f"the global dtype policy is {policy}, and training.precision, which holds, is {precision}; "
            f"set training.precision (float32 or mixed_bfloat16), or keras.config.set_dtype_policy({precision!r})"
        )


def require_own_losses(
    loss: Any = None, loss_weights: Any = None, metrics: Any = None, weighted_metrics: Any = None
) -> None:
    """Checks what `compile` is given.

    Raises:
        InputError: losses or metrics.
    """
    if loss is not None:
        raise InputError(f"compile: loss={_name(loss)} would not be used, as the losses are built in; leave it out")
    if loss_weights is not None:
        raise InputError("compile: loss_weights would not be used; set model.loss_weights in the configuration")
    for argument, given in (("metrics", metrics), ("weighted_metrics", weighted_metrics)):
        if given:
            raise InputError(
                f"compile: {argument}={_name(given)} cannot be computed from the outputs of the heads; for val_pq give "
                "fit callbacks=[tfpanoptic.ValidationPQ()]"
            )


def require_own_targets(method: Callable, *args: Any, **kwargs: Any) -> None:
    """Checks the data that `fit` or another method of Keras is given, as far as it can be seen without reading any.

    Args:
        method: Keras' own, for the names of the arguments.
        args, kwargs: what it is to be called with.

    Raises:
        InputError: anything but batches with targets.
    """
    given = inspect.signature(method).bind(*args, **kwargs).arguments
    what = method.__name__
    for argument in ("y", "sample_weight", "class_weight"):
        if given.get(argument) is not None:
            raise InputError(f"{what}: {argument} is not used, the targets are part of x; {_BATCHES}")
    if given.get("validation_split"):
        raise InputError(f'{what}: validation_split is not possible; give validation_data=batches("val")')
    _require_batches(what, given.get("x"))
    if given.get("validation_data") is not None:
        _require_batches(f"{what}: validation_data", given["validation_data"])


def require_batch(x: Any, y: Any, sample_weight: Any) -> None:
    """Checks one batch: what a generator gives is seen here first.

    Raises:
        InputError: no dict with targets, or anything beside it.
    """
    for argument, value in (("y", y), ("sample_weight", sample_weight)):
        if value is not None:
            raise InputError(f"fit: {argument} is not used, the targets are part of x; {_BATCHES}")
    _require_batches("fit", x)


def require_keras_file(path: Any, zipped: bool | None) -> None:
    """Checks the file, or the folder if `zipped` is False, that a model is saved to.

    Raises:
        InputError: a file that is no `.keras` file.
    """
    if zipped is not False and not str(path).endswith(".keras"):
        raise InputError(f"{path}: {_KERAS_FILE}")


def refuse_hdf5() -> None:
    """Refuses the file that `keras.saving.save_model` writes to a name in `.h5`; it asks the model for its
    configuration, with a mark of its own.

    Raises:
        InputError: it is asking.
    """
    try:
        from keras.src.backend.common.global_state import get_global_attribute
    except ImportError:  # it is not public; Keras then fails in its own words
        return
    if get_global_attribute("use_legacy_config"):
        raise InputError(f"a model cannot be saved as HDF5: {_KERAS_FILE}")


def require_format(name: str, formats: Mapping[str, Any], options: Mapping[str, Any]) -> str:
    """Our name of a format of `export`, checked.

    Args:
        name: of ours, or Keras' "tf_saved_model".
        formats: name -> record with `options`, the names that it takes.
        options: what is given beside it; one that is None counts as not given, and so does `verbose` of Keras.

    Raises:
        InputError: no such format, or an option that it does not take.
    """
    ours = name.removeprefix("tf_")
    if ours not in formats:
        raise InputError(f"export: expected the format {' or '.join(formats)}, found {name!r}")
    for option in options.keys() - {"verbose", *formats[ours].options}:
        takers = " and ".join(other for other, record in formats.items() if option in record.options)
        if options[option] is not None and takers:
            raise InputError(f"export: {option} is no option of {ours}, but of {takers}")
        if options[option] is not None:
            raise InputError(f"export: {option} is not possible; the input is uint8 [B, H, W, 3] of any size")
    return ours


def _require_batches(what: str, data: Any) -> None:
    """Raises InputError for arrays, and for data sets whose elements are known and have no targets."""
    element = getattr(data, "element_spec", data)
    if isinstance(element, dict):
        if "targets" not in element:
            raise InputError(f"{what}: found dicts of {', '.join(map(str, element))}; {_BATCHES}")
    elif isinstance(element, (list, tuple)):
        raise InputError(f"{what}: found {len(element)} parts, as (images, labels) are; {_BATCHES}")
    elif hasattr(element, "shape"):
        raise InputError(f"{what}: found {element.dtype} {list(element.shape)}; {_BATCHES}")


def _name(argument: Any) -> str:
    """An argument in a message: without the address of an object."""
    if isinstance(argument, (list, tuple)):
        return f"[{', '.join(map(_name, argument))}]"
    if isinstance(argument, (str, dict)):
        return repr(argument) if isinstance(argument, str) else "{...}"
    return getattr(argument, "__name__", None) or type(argument).__name__
