"""A backup in the way of the maintenance, at the limits."""

from __future__ import annotations

import pytest

from infra.checks import windows
from infra.checks.base import Subject
from infra.errors import Problems
from tests.infra.checks.builders import settings


@pytest.mark.parametrize(
    ("hour", "window", "warned"),
    [
        (2, "sat:22:00-sat:23:00", False),  # the defaults
        # A job begins within an hour; it is in the way from an hour before.
        (20, "sat:22:00-sat:23:00", False),
        (21, "sat:22:00-sat:23:00", True),
        (22, "sat:22:00-sat:23:00", True),
        (23, "sat:22:00-sat:23:00", False),
        # Over midnight, into the next week.
        (1, "sun:23:00-mon:02:00", True),
        (2, "sun:23:00-mon:02:00", False),
    ],
)
def test_a_backup_in_the_way_of_the_maintenance_is_told(
    hour: int, window: str, *, warned: bool
) -> None:
    stack = settings(backup={"hour": hour}, database={"maintenance_window": window})
    assert len(windows.check(Subject(stack)).warnings) == warned


@pytest.mark.parametrize(
    ("window", "complaint"),
    [
        ("sat:22:00", "is no weekly window"),
        ("saturday:22:00-sat:23:00", "is no weekly window"),
        ("sat:22:00-sat:24:00", "is no weekly window"),
        ("sat:22:00-sat:22:59", "must last 1 to 24 hours"),
        ("sat:22:00-sun:22:01", "must last 1 to 24 hours"),
    ],
)
def test_a_window_that_aws_would_refuse_is_an_error_of_the_file(
    window: str, complaint: str
) -> None:
    for part in ("database", "cache"):
        with pytest.raises(Problems) as caught:
            settings(**{part: {"maintenance_window": window}})
        (problem,) = caught.value.problems
        assert problem.where == f"firstbell:platform/{part}/maintenance_window"
        assert complaint in str(problem)
