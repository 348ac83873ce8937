"""Listener rules: the more special first, and none moves when a tier is added."""

from __future__ import annotations

from infra.balancer import BAND, LAST_PRIORITY, rule_priorities
from infra.settings.tiers import TierSettings


def tier(**settings: object) -> TierSettings:
    return TierSettings.model_validate(settings)


def test_the_more_special_rule_comes_first() -> None:
    order = rule_priorities(
        {
            "web": tier(),
            "api": tier(paths=["/api/*"]),
            "tenant": tier(hosts=["tenant.example.org"]),
            "exam": tier(hosts=["exam.example.org"], paths=["/quiz/*"]),
        }
    )
    assert sorted(order, key=lambda name: order[name]) == ["exam", "tenant", "api", "web"]
    assert order["web"] > 3 * BAND


def test_a_tier_that_takes_over_the_rest_from_another_needs_no_priority_in_use() -> None:
    assert rule_priorities({"web": tier()})["web"] != rule_priorities({"site": tier()})["site"]


def test_adding_a_tier_moves_no_other_rule() -> None:
    before = {"web": tier(), "api": tier(paths=["/api/*"])}
    after = before | {"files": tier(paths=["/files/*"])}
    moved = rule_priorities(after)
    assert {name: moved[name] for name in before} == rule_priorities(before)


def test_a_thousand_tiers_get_different_priorities() -> None:
    tiers = {f"tier{number}": tier(paths=[f"/{number}/*"]) for number in range(1000)}
    priorities = list(rule_priorities(tiers).values())
    assert len(set(priorities)) == 1000
    assert all(2 * BAND < priority < LAST_PRIORITY for priority in priorities)
