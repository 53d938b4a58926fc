"""Backbones: from a normalised image to endpoints such as `res1` .. `res5`; imports no Keras before it builds."""

from __future__ import annotations

from functools import reduce
from operator import or_
from typing import TYPE_CHECKING, Annotated, Any

import pydantic
from pydantic_core import InitErrorDetails, PydanticCustomError

from tfpanoptic.backbones.mobilenet_v3 import MOBILENET_V3
from tfpanoptic.backbones.resnet import RESNET
from tfpanoptic.settings.config import StrictConfig

BACKBONES = {
    "resnet10": RESNET,
    "resnet18": RESNET,
    "resnet50": RESNET,
    "resnet101": RESNET,
    "mobilenet_v3_large": MOBILENET_V3,
    "mobilenet_v3_small": MOBILENET_V3,
}


def _of_the_named_record(data: Any) -> Any:
    """The configuration of a backbone as the class of the record that its `name` names."""
    if isinstance(data, StrictConfig):
        return data
    if not isinstance(data, dict):
        raise ValueError("expected a mapping such as {name: resnet50}")
    name = data.get("name")
    if not isinstance(name, str) or name not in BACKBONES:
        raise _error("name", f"expected one of {', '.join(BACKBONES)}", name)
    schema = BACKBONES[name].config
    for key, value in data.items():
        if key not in schema.model_fields:
            options = ", ".join(option for option in schema.model_fields if option != "name")
            raise _error(key, f"no option of {name}, which has {options}", value)
    return schema.model_validate(data)


def _error(key: str, message: str, value: Any) -> pydantic.ValidationError:
    """What pydantic tells of a single key."""
    error = PydanticCustomError("backbone", "{message}", {"message": message})
    return pydantic.ValidationError.from_exception_data(
        "backbone", [InitErrorDetails(type=error, loc=(key,), input=value)]
    )


# The type of a model's `backbone`: any configuration class of the records, chosen and checked by its name.
if TYPE_CHECKING:
    BackboneConfig = Any
else:
    BackboneConfig = Annotated[
        reduce(or_, {record.config: None for record in BACKBONES.values()}),
        pydantic.BeforeValidator(_of_the_named_record),
    ]
