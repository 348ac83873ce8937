"""What all models of a stack's file have in common."""

from __future__ import annotations

import re
from typing import Annotated, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# A full name of DNS in small letters: labels without a hyphen at their ends, then a top level of
# letters. RFC 1123, section 2.1.
HOST: Final = r"^([a-z0-9]([a-z0-9-]*[a-z0-9])?\.)+[a-z]{2,}$"

Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]*$", max_length=16)]

# CloudWatch Logs API reference, PutRetentionPolicy.
RetentionDays = Literal[
    1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922
]


_DAYS: Final = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_WINDOW: Final = re.compile(rf"({'|'.join(_DAYS)}):([01]\d|2[0-3]):([0-5]\d)")
WEEK_MINUTES: Final = 7 * 24 * 60


def window_minutes(window: str) -> tuple[int, int]:
    """Begin and end of a weekly window such as sat:22:00-sat:23:00, in minutes since Monday 00:00;
    the end is after the begin, in the week after where need be.

    Raises:
        ValueError: it is none, or not of 1 to 24 hours, which both RDS and ElastiCache take.
    """
    parts = [_WINDOW.fullmatch(part) for part in window.split("-")]
    found = [
        (_DAYS.index(part[1]) * 24 + int(part[2])) * 60 + int(part[3]) for part in parts if part
    ]
    if len(parts) != 2 or len(found) != 2:
        raise ValueError("is no weekly window; write one such as sat:22:00-sat:23:00, in UTC")
    begin, end = found
    end += WEEK_MINUTES if end <= begin else 0
    if not 60 <= end - begin <= 24 * 60:
        raise ValueError("must last 1 to 24 hours; write one such as sat:22:00-sat:23:00, in UTC")
    return begin, end


def _is_window(value: str) -> str:
    window_minutes(value)
    return value


MaintenanceWindow = Annotated[str, AfterValidator(_is_window)]
# A Saturday night in Europe. AWS's own choice is any day of the week, at night by the Region's
# clock, in Europe up to 07:00 UTC: the first bell.
DEFAULT_MAINTENANCE_WINDOW: Final = "sat:22:00-sat:23:00"


class Settings(BaseModel):
    """A frozen model that knows no other keys than its own."""

    model_config = ConfigDict(extra="forbid", frozen=True)
