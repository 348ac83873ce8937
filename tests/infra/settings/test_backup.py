"""What a stack's file may say of backups, and how it is told that it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import WriteStack
from tests.infra.settings.test_stack import platform, problems


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"hour": 24}, "backup/hour: input should be less than or equal to 23, not 24"),
        ({"daily_keep_days": 0}, "backup/daily_keep_days: input should be greater than or equal"),
        (
            {"daily_keep_days": 60, "monthly_keep_days": 30},
            "monthly_keep_days 30 is less than daily_keep_days 60",
        ),
        ({"restore_tests": True}, "(did you mean 'restore_test'?)"),
    ],
)
def test_what_makes_no_sense_is_refused(
    write_stack: WriteStack, settings: dict[str, Any], complaint: str
) -> None:
    (found,) = problems(write_stack, **platform(backup=settings))
    assert complaint in found
