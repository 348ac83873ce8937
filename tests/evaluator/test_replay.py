"""The evaluator's replay and rules against timelines worked by hand from AWS's documentation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tests.evaluator.actions import LiveAction, UnreadableActionError, read_action
from tests.evaluator.replay import in_service
from tests.evaluator.rules import rule_violations

MONDAY = datetime(2026, 11, 2, tzinfo=UTC)


def asg(name: str, recurrence: str | None, minimum: int, **more: object) -> dict[str, object]:
    """An Auto Scaling action as `describe_scheduled_actions` lists it."""
    sizes: dict[str, object] = {"ScheduledActionName": name, "MinSize": minimum}
    return sizes | ({"Recurrence": recurrence} if recurrence else {}) | more


def served(*live: LiveAction, hours: int = 24, late: int = 2, boot: int = 4) -> list[int]:
    return in_service(
        [read_action(action) for action in live],
        start=MONDAY,
        minutes=hours * 60,
        initial=2,
        boot_minutes=boot,
        late_minutes=late,
    ).tolist()


def broken(*live: LiveAction, name: str = "web") -> list[str]:
    return rule_violations({name: live}, since=MONDAY, until=MONDAY + timedelta(days=14))


def test_a_raise_serves_after_lateness_and_boot_and_a_drop_at_once() -> None:
    units = served(asg("up", "0 7 * * 1", 9), asg("down", "0 9 * * 1", 3))
    assert units[: 7 * 60 + 6] == [2] * (7 * 60 + 6)
    assert units[7 * 60 + 6 : 9 * 60] == [9] * (2 * 60 - 6)
    assert units[9 * 60 :] == [3] * (15 * 60)


def test_without_lateness_a_raise_serves_two_minutes_earlier() -> None:
    assert served(asg("up", "0 7 * * 1", 9), late=0).index(9) == 7 * 60 + 4


def test_a_drop_within_the_boot_time_of_a_raise_keeps_the_raise_out_of_service() -> None:
    units = served(asg("up", "0 7 * * 1", 9), asg("down", "5 7 * * 1", 3))
    assert max(units) == 3


def test_two_actions_within_the_lateness_leave_the_lowest_of_three_floors() -> None:
    units = served(asg("up", "0 7 * * 1", 9), asg("more", "1 7 * * 1", 12), boot=0)
    assert units[7 * 60 - 1 : 7 * 60 + 4] == [2, 2, 2, 9, 12]


def test_an_action_fires_at_its_start_time_and_then_by_the_cron() -> None:
    start = MONDAY + timedelta(hours=5)
    units = served(asg("up", "0 7 * * *", 9, StartTime=start), asg("down", "0 6 * * *", 3))
    assert units[5 * 60 + 6] == 9
    assert units[6 * 60] == 3
    assert units[7 * 60 + 6] == 9


def test_an_occurrence_exactly_at_the_end_drops_but_does_not_raise() -> None:
    seven = MONDAY + timedelta(hours=7)
    assert max(served(asg("up", "0 7 * * *", 9, EndTime=seven))) == 2
    assert served(asg("down", "0 7 * * *", 1, EndTime=seven))[7 * 60] == 1


def test_a_recurrence_follows_the_zone_through_a_change_of_daylight_saving() -> None:
    action = read_action(asg("up", "0 8 * * *", 9, TimeZone="Europe/Stockholm"))
    firings = action.firings(datetime(2026, 10, 24, tzinfo=UTC), datetime(2026, 10, 26, tzinfo=UTC))
    assert [moment.hour for moment in firings] == [6, 7]


def test_application_auto_scaling_counts_weekdays_from_sunday_as_one() -> None:
    for schedule in ("cron(0 7 ? * 2 *)", "cron(0 7 ? * MON *)"):
        action = read_action({"Schedule": schedule, "ScalableTargetAction": {"MinCapacity": 3}})
        assert action.firings(MONDAY, MONDAY + timedelta(days=7)) == [MONDAY + timedelta(hours=7)]


def test_application_auto_scaling_reads_a_single_time_in_its_zone() -> None:
    action = read_action(
        {
            "Schedule": "at(2026-11-02T07:00:00)",
            "Timezone": "Europe/Stockholm",
            "ScalableTargetAction": {"MinCapacity": 3},
        }
    )
    assert action.firings(MONDAY, MONDAY + timedelta(days=1)) == [MONDAY + timedelta(hours=6)]


@pytest.mark.parametrize(
    "wrong",
    [
        {"Schedule": "cron(0 7 * * MON *)", "ScalableTargetAction": {"MinCapacity": 1}},
        {"Schedule": "cron(0 7 ? * MON)", "ScalableTargetAction": {"MinCapacity": 1}},
        {"Schedule": "rate(5 minutes)", "ScalableTargetAction": {"MinCapacity": 1}},
        asg("six fields", "0 7 * * 1 *", 1),
        asg("no such hour", "0 27 * * 1", 1),
        asg("no such zone", "0 7 * * 1", 1, TimeZone="Europe/Bergen"),
        asg("never", None, 1),
    ],
)
def test_an_action_that_aws_would_not_accept_is_unreadable_and_a_violation(
    wrong: LiveAction,
) -> None:
    with pytest.raises(UnreadableActionError):
        read_action(wrong)
    assert len(broken(wrong)) == 1


def test_actions_that_follow_the_rules_break_none() -> None:
    seven = MONDAY + timedelta(hours=7)
    end = MONDAY + timedelta(days=10)
    assert (
        broken(
            asg("up", "0 7 * * *", 9, MaxSize=9, StartTime=seven, EndTime=end),
            asg("down", "0 9 * * *", 3, StartTime=seven + timedelta(hours=2), EndTime=end),
        )
        == []
    )


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        (asg("a", "0 7 * * *", 9, MaxSize=8), "minimum 9 above maximum 8"),
        (asg("a", "0 7 * * *", 9, StartTime=MONDAY), "no occurrence"),
        (asg("a", "59 3 * * *", 9), "daylight saving"),
        (asg("a", "0 */6 * * *", 9), "daylight saving"),
        (asg("a", "0 7 * * *", -1), "sets no size"),
        (
            asg("a", "0 7 * * *", 9, EndTime=MONDAY + timedelta(hours=31)),
            "less than 5 minutes before its end",
        ),
        (
            asg("a", None, 9, StartTime=MONDAY, EndTime=MONDAY - timedelta(hours=1)),
            "ends before it starts",
        ),
    ],
)
def test_each_broken_rule_is_named(wrong: LiveAction, message: str) -> None:
    assert message in " ".join(broken(wrong))


def test_125_actions_are_allowed_and_126_are_not() -> None:
    actions = [asg(f"a{n}", f"{n % 60} {4 + n // 60} * * *", 2) for n in range(126)]
    assert broken(*actions[:125]) == []
    assert broken(*actions) == ["web: 126 scheduled actions, AWS allows 125"]


def test_two_actions_at_one_time_are_a_violation() -> None:
    seven = MONDAY + timedelta(hours=7)
    same_start = (asg("a", None, 9, StartTime=seven), asg("b", "0 7 * * *", 3, StartTime=seven))
    assert "2 actions start at" in broken(*same_start)[0]
    later = (asg("a", "0 7 * * 3", 9), asg("b", "0 7 * * *", 3))
    assert broken(*later) == ["web: a and b both fire at 2026-11-04 07:00:00+00:00"]
