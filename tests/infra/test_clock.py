"""Times that people type."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from infra import clock
from infra.errors import InputError


@pytest.mark.parametrize("text", ["2026-08-01", "2026-08-01T00:00"])
def test_what_is_proposed_for_a_time_without_zone_is_a_time(text: str) -> None:
    with pytest.raises(InputError, match="has no time zone") as caught:
        clock.parse(text, "--at")
    proposed = (caught.value.fix or "").rsplit(" ", 1)[-1]
    assert clock.parse(proposed, "--at") == datetime(2026, 8, 1, tzinfo=UTC)
