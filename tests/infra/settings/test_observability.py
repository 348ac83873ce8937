"""What a stack's file may say of alarms, and how it is told that it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from tests.conftest import WriteStack
from tests.infra.settings.test_stack import platform, problems

KEY = "firstbell:platform/observability"


@pytest.mark.parametrize("email", ["ops", "ops@example", "@example.org", "o ps@example.org", ""])
def test_an_email_that_is_none_is_refused(write_stack: WriteStack, email: str) -> None:
    (found,) = problems(write_stack, **platform(observability={"emails": [email]}))
    assert found.startswith(f"{KEY}/emails: {email!r} is no e-mail address: ")
    assert found.endswith(" (write one such as ops@example.org)")


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"emails": ["ops@example.org"] * 2}, "an address stands there twice"),
        ({"emails": [f"a{n}@example.org" for n in range(11)]}, "at most 10 items"),
        ({"emails": "ops@example.org"}, "emails: must be a list, not"),
        ({"email": ["ops@example.org"]}, "(did you mean 'emails'?)"),
        ({"monthly_limit_usd": 0}, "monthly_limit_usd: input should be greater than 0, not 0"),
        ({"below_floor_minutes": 2}, "greater than or equal to 3, not 2"),
        ({"below_floor_minutes": 61}, "less than or equal to 60, not 61"),
        ({"error_percent": 101}, "less than or equal to 100, not 101"),
        ({"unhealthy_percent": 0}, "greater than 0, not 0"),
        ({"latency_seconds": 61}, "less than or equal to 60, not 61"),
        ({"job_wait_minutes": 4}, "greater than or equal to 5, not 4"),
    ],
)
def test_what_makes_no_sense_is_refused(
    write_stack: WriteStack, settings: dict[str, Any], complaint: str
) -> None:
    (found,) = problems(write_stack, **platform(observability=settings))
    assert complaint in found
