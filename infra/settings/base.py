"""What all models of a stack's file have in common."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field

# A full name of DNS in small letters: labels without a hyphen at their ends, then a top level of
# letters. RFC 1123, section 2.1.
HOST: Final = r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=16)]

# CloudWatch Logs API reference, PutRetentionPolicy.
RetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922
]


class Settings(BaseModel):
    """A frozen model that knows no other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)
