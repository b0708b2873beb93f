"""Base of all sections of the configuration."""

from __future__ import annotations

from typing import Annotated, Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field

Count = Annotated[int, Field(ge=1)]
Number = Annotated[int, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class Section(BaseModel):
    """A part of the configuration: unknown keys and wrong types are errors.

    Attributes
    ----------
    added_later : tuple of str
        Settings that results of earlier versions know nothing of: at their defaults they do not
        count, so that these results stay good.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)
    added_later: ClassVar[tuple[str, ...]] = ()

    def identity(self) -> dict[str, Any]:
        """Return the settings by which results are told apart: all that may change one."""
        settings = self.model_dump(mode="json")
        for name in self.added_later:
            if getattr(self, name) == type(self).model_fields[name].get_default():
                del settings[name]
        return settings
