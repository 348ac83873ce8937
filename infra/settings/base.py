"""What all models of a stack's file have in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=16)]


class Settings(BaseModel):
    """A frozen model that knows no other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)
