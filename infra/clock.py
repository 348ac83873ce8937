"""What time the program takes it to be: `FIRSTBELL_NOW`, else the local cloud's clock, else UTC."""

from __future__ import annotations

import json
import os
from datetime import UTC, datetime
from typing import Literal

from infra import paths
from infra.errors import InputError


def parse(text: str, where: str) -> datetime:
    """Read an ISO 8601 time with an offset; refuses one without.

    Raises:
        InputError: the text is no time, or has no offset.
    """
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise InputError(
            f"{text!r} is not a time", where=where, fix="write it like 2026-08-01T00:00Z"
        ) from error
    if moment.tzinfo is None:
        raise InputError(
            f"{text!r} has no time zone",
            where=where,
            fix=f"append Z or an offset: {moment.isoformat()}Z",
        )
    return moment.astimezone(UTC)


def now(cloud: Literal["local", "aws"]) -> datetime:
    """The current time in UTC as the stack's cloud sees it.

    Raises:
        InputError: `FIRSTBELL_NOW` is not a time.
    """
    if text := os.environ.get("FIRSTBELL_NOW"):
        return parse(text, "FIRSTBELL_NOW")
    record = paths.local_cloud() / "clock.json"
    if cloud == "local" and record.exists():
        return parse(json.loads(record.read_text())["now"], str(record))
    return datetime.now(UTC)
