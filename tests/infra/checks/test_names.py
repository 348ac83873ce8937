"""Names that cannot be certified or pointed here, and certificates that a CDN cannot use."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from infra.checks import Subject
from infra.checks.certificate import check_described
from infra.errors import Problems
from infra.settings.names import EDGE_KEY
from tests.infra.checks.builders import findings, settings

DNS = {"zone": "example.org", "zone_id": "Z0123456789"}
ACCOUNTS = {"firstbell:cloud": "aws", "aws:allowedAccountIds": ["111122223333"]}
IMAGE = {"image": "ami-0123456789abcdef0"}
OURS = "arn:aws:acm:eu-north-1:111122223333:certificate/a"
EDGE = "arn:aws:acm:us-east-1:111122223333:certificate/b"


def told(config: dict[str, Any] | None = None, **platform: Any) -> list[tuple[str, str]]:
    """What is wrong with a file: where, and the whole of it."""
    try:
        assert findings(config, **platform).problems == ()
    except Problems as error:
        return [(problem.where, str(problem)) for problem in error.problems]
    return []


def test_names_in_the_zone_are_fine_with_a_wildcard_and_without() -> None:
    tiers = {"web": {}, "a": {"hosts": ["a.example.org", "*.b.example.org", "EXAMPLE.ORG"]}}
    assert told(dns=DNS, edge={}, tiers=tiers) == []


def test_a_host_outside_the_zone_needs_a_certificate_of_its_own() -> None:
    tiers = {"web": {}, "a": {"hosts": ["a.example.net"]}}
    ((where, text),) = told(dns=DNS, tiers=tiers)
    assert where == "firstbell:platform/tiers/a/hosts"
    assert "a.example.net is not in the zone example.org" in text
    assert "give certificate_arn" in text
    found = findings(dns=DNS, tiers=tiers, certificate_arn=OURS)
    assert found.problems == ()
    assert any("whoever has it must point it here" in warning for warning in found.warnings)
    assert told(dns=DNS, tiers=tiers, certificate_arn=OURS, edge={}) != []
    assert told(dns=DNS, tiers=tiers, certificate_arn=OURS, edge={"certificate_arn": EDGE}) == []


def test_a_domain_in_another_zone_is_no_suffix_of_it() -> None:
    ((where, _),) = told(dns=DNS | {"zone": "ample.org"})
    assert where == "firstbell:platform/domain"


def test_a_wildcard_inside_a_label_can_be_routed_but_not_certified() -> None:
    tiers = {"web": {}, "a": {"hosts": ["school-*.example.org"]}}
    assert told(tiers=tiers) == []
    ((where, text),) = told(dns=DNS, tiers=tiers)
    assert where == "firstbell:platform/tiers/a/hosts"
    assert "in no certificate" in text


def test_a_cdn_on_aws_needs_a_certificate_of_us_east_1_or_a_zone_to_make_one() -> None:
    tiers = {"web": IMAGE}
    ((where, text),) = told(ACCOUNTS, certificate_arn=OURS, edge={}, tiers=tiers)
    assert where == "firstbell:platform/edge/certificate_arn"
    assert "us-east-1 alone" in text
    assert told(ACCOUNTS, edge={}, dns=DNS, tiers=tiers) == []
    assert told(ACCOUNTS, certificate_arn=OURS, edge={"certificate_arn": EDGE}, tiers=tiers) == []


def test_what_else_is_wrong_hides_no_name_outside_of_the_zone() -> None:
    """Nor does a certificate that is named in a wrong way mean that none was named."""
    other = DNS | {"zone": "example.com"}
    keys = [where for where, _ in told(dns=other, edge={"price_class": "PriceClass_9"})]
    assert keys == ["firstbell:platform/edge/price_class", "firstbell:platform/domain"]
    keys = [where for where, _ in told(dns=other, edge={"certificate_arn": "arn"})]
    assert keys == ["firstbell:platform/edge/certificate_arn", "firstbell:platform/domain"]
    edge = {"certificate_arn": "arn"}
    keys = [where for where, _ in told(dns=other, certificate_arn=OURS, edge=edge)]
    assert keys == ["firstbell:platform/edge/certificate_arn"]


def test_a_wrong_zone_is_not_a_missing_one() -> None:
    wrong = DNS | {"zone_id": "/hostedzone/Z1"}
    keys = [where for where, _ in told(ACCOUNTS, dns=wrong, edge={}, tiers={"web": IMAGE})]
    assert keys == ["firstbell:platform/dns/zone_id"]
    keys = [where for where, _ in told(ACCOUNTS, edge={}, tiers={"web": IMAGE})]
    assert keys == [
        "firstbell:platform/certificate_arn",
        "firstbell:platform/edge/certificate_arn",
    ]


@pytest.mark.parametrize(
    ("arn", "said"),
    [
        (OURS, "is of eu-north-1, and CloudFront takes certificates of us-east-1 alone"),
        (EDGE.replace("111122223333", "999"), "is of account 999"),
    ],
)
def test_the_cdns_certificate_is_of_its_region_and_account(arn: str, said: str) -> None:
    platform = {"certificate_arn": OURS, "edge": {"certificate_arn": arn}}
    ((where, text),) = told(ACCOUNTS, tiers={"web": IMAGE}, **platform)
    assert where == "firstbell:platform/edge/certificate_arn"
    assert said in text


@pytest.mark.parametrize(
    ("platform", "key", "said"),
    [
        ({"edge": {"static_paths": ["theme/*"]}}, "edge/static_paths", "/theme/*"),
        ({"edge": {"static_paths": ["/*"]}}, "edge/static_paths", "no pattern of static paths"),
        ({"edge": {"static_paths": ["/a", "/a"]}}, "edge/static_paths", "are the same"),
        ({"edge": {"default_root_object": "/index"}}, "edge/default_root_object", "pattern"),
        ({"edge": {"key_number": 0}}, "edge/key_number", "1"),
        ({"edge": {"certificate": "x"}}, "edge/certificate", "did you mean"),
        ({"dns": {"zone": "example.org"}}, "dns/zone_id", "is missing"),
        ({"dns": DNS | {"zone_id": "/hostedzone/Z1"}}, "dns/zone_id", "pattern"),
        (
            {
                "edge": {},
                "tiers": {"web": {}, "a": {"hosts": ["a.b", "b.b", "c.b"], "paths": ["/d"]}},
            },
            "",
            "AWS's 5 leave 3",
        ),
    ],
)
def test_a_wrong_setting_names_key_and_rule(platform: Any, key: str, said: str) -> None:
    with pytest.raises(Problems) as caught:
        settings(**platform)
    (problem,) = caught.value.problems
    assert problem.where.startswith(f"firstbell:platform/{key}".rstrip("/"))
    assert said in str(problem)


def test_the_cdns_certificate_names_what_it_is_wrong_about() -> None:
    """As ACM describes it, with the key of the setting that names it."""
    subject = Subject(settings(edge={}, tiers={"web": {}, "a": {"hosts": ["a.example.org"]}}))
    now, key = datetime(2026, 11, 1, tzinfo=UTC), EDGE_KEY
    pending = {"Status": "PENDING_VALIDATION", "DomainName": "lms.example.org"}
    (problem,) = check_described(subject, pending, now=now, key=key).problems
    assert (problem.where, "PENDING_VALIDATION" in problem.what) == (EDGE_KEY, True)
    issued = pending | {"Status": "ISSUED"}
    (problem,) = check_described(subject, issued, now=now, key=key).problems
    assert problem.where == EDGE_KEY
    assert "not for a.example.org (firstbell:platform/tiers/a/hosts)" in problem.what
    both = issued | {"SubjectAlternativeNames": ["*.example.org"]}
    assert check_described(subject, both, now=now, key=key).problems == ()


def test_behind_the_edge_a_rule_may_just_have_three_values() -> None:
    tier = {"hosts": ["a.example.org", "b.example.org"], "paths": ["/d"]}
    settings(edge={}, tiers={"web": {}, "a": tier})
    with pytest.raises(Problems, match="needs 4 values"):
        settings(edge={}, tiers={"web": {}, "a": tier | {"takes_requests": False}})
