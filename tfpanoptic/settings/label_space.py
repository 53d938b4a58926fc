"""The section `data.remap`: which categories become which.

```yaml
remap:
  categories:                              # in any order
    vehicle: [car, truck, bus]             # merged; a name that is no source is new
    ground: {of: [road, sidewalk], color: [128, 64, 128]}
    person: {thing: false}                 # a thing becomes stuff
  drop: [sky]                              # becomes void
  others: keep                             # those not named here; or drop
  void: background                         # what is void then becomes stuff of this name
```
"""

from __future__ import annotations

from collections import Counter
from typing import Annotated, Any, Literal

from pydantic import Field, model_validator

from tfpanoptic.settings.config import StrictConfig

Channel = Annotated[int, Field(ge=0, le=255)]


class RemapCategory(StrictConfig):
    """One category, of one or several of the files; a list alone is `of`."""

    # Names in the files; by default the category's own.
    of: tuple[str, ...] | None = Field(None, min_length=1)
    # Thing or stuff; by default what all of `of` are.
    thing: bool | None = None
    # (red, green, blue); by default that of the first of `of` in the files.
    color: tuple[Channel, Channel, Channel] | None = None

    @model_validator(mode="before")
    @classmethod
    def _short(cls, data: Any) -> Any:
        return {} if data is None else {"of": data} if isinstance(data, list | tuple) else data


class RemapConfig(StrictConfig):
    """What becomes of the categories of the files, in training and everywhere else."""

    categories: dict[str, RemapCategory] = Field({})
    # Names that become void.
    drop: tuple[str, ...] = ()
    # What becomes of categories that are not named.
    others: Literal["keep", "drop"] = "keep"
    # The category, stuff, of the pixels that no other has: those that are void in the files or dropped here.
    void: str | None = Field(None, min_length=1)

    @property
    def sources(self) -> dict[str, str | None]:
        """Name in the files -> the category that it becomes; None where it is dropped."""
        becomes: dict[str, str | None] = dict.fromkeys(self.drop)
        for name, category in self.categories.items():
            becomes |= dict.fromkeys(category.of or (name,), name)
        return becomes

    @model_validator(mode="after")
    def _each_name_once(self) -> RemapConfig:
        named = Counter([*self.drop, *(old for name, c in self.categories.items() for old in c.of or (name,))])
        twice = [name for name, count in named.items() if count > 1]
        if twice:
            raise ValueError(f"a category becomes one other or is dropped; named twice: {', '.join(twice)}")
        if self.void is not None and self.categories.get(self.void, RemapCategory()).thing:
            raise ValueError(f"void: {self.void} is a thing; unlabelled pixels can be stuff alone")
        return self
