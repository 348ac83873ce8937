"""That nobody hears of alarms, or of costs, is said; and nothing where it is stated."""

from __future__ import annotations

import pytest

from infra.checks import notices
from infra.checks.base import Subject
from tests.infra.checks.builders import settings


def told(**stated: object) -> tuple[str, ...]:
    return notices.check(Subject(settings(observability=stated))).warnings


STATED = {"emails": ["ops@example.org"], "monthly_limit_usd": 4000}


def test_a_stack_that_states_both_is_told_nothing() -> None:
    assert told(**STATED) == ()


@pytest.mark.parametrize(
    ("missing", "warning"),
    [
        ("emails", "alarms reach nobody: firstbell:platform/observability/emails is empty"),
        ("monthly_limit_usd", "there is no budget alarm: firstbell:platform/observability/"),
    ],
)
def test_what_is_not_stated_is_told(missing: str, warning: str) -> None:
    stated = {key: value for key, value in STATED.items() if key != missing}
    (found,) = told(**stated)
    assert found.startswith(warning)
