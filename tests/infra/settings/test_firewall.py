"""What a firewall is told, and what it refuses."""

from __future__ import annotations

from typing import Any

import pytest

from infra.errors import Problems
from tests.infra.checks.builders import settings


@pytest.mark.parametrize(
    ("firewall", "said"),
    [
        ({"requests_per_session": 9}, "requests_per_session"),
        ({"requests_per_session": 500, "requests_per_address": 499}, "never be challenged before"),
        ({"requests_per_address": 2_000_000, "block_at": 1_000}, None),
        ({"requests_per_address": 2_000_001, "block_at": 1_000}, "2,000,000,000, AWS's limit"),
        ({"session_cookie": "a b"}, "session_cookie"),
        ({"unchallenged_paths": ["saml"]}, "leading /"),
        ({"unchallenged_paths": ["/"]}, "more than that alone"),
        ({"counted_rules": ["GenericLFI_URIPATH"]}, None),
        (
            {"counted_rules": ["GenericLFI_URIPATHS"]},
            "no rule of AWS's common rule set (did you mean GenericLFI_URIPATH?)",
        ),
        ({"counted_rule": []}, "did you mean 'counted_rules'?"),
    ],
)
def test_a_setting_that_aws_or_reason_refuses_is_named(
    firewall: dict[str, Any], said: str | None
) -> None:
    if said is None:
        settings(firewall=firewall)
        return
    with pytest.raises(Problems) as caught:
        settings(firewall=firewall)
    (problem,) = caught.value.problems
    assert problem.where.startswith("firstbell:platform/firewall")
    assert said in str(problem)


def test_the_session_cookie_is_moodles_where_a_tier_runs_moodle() -> None:
    moodle = {"kind": "moodle", "version": "4.5.8", "sha256": "0" * 64}
    assert settings().platform.session_cookie is None
    tiers = {"web": {"application": moodle}}
    assert settings(tiers=tiers).platform.session_cookie == "MoodleSession"
    own = settings(tiers=tiers, firewall={"session_cookie": "MoodleSessionschool"})
    assert own.platform.session_cookie == "MoodleSessionschool"
