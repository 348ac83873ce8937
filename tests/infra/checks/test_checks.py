"""Each check at and just past its limit."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from infra.checks import Subject, check, refuse
from infra.checks.certificate import check_described
from infra.checks.connections import max_connections
from infra.checks.quotas import QUOTAS
from infra.errors import Problems
from infra.settings.quotas import QuotaSettings
from tests.infra.checks.builders import findings, reservation, settings

NOW = datetime(2026, 11, 1, tzinfo=UTC)
CERTIFICATE = "arn:aws:acm:eu-north-1:111122223333:certificate/1"


def the_problem(config: dict[str, Any] | None = None, **platform: Any) -> tuple[str, str]:
    """The only problem of a stack: where it is, and the whole of it."""
    (problem,) = findings(config, **platform).problems
    return problem.where, str(problem)


def test_the_smallest_stack_passes_every_check() -> None:
    assert findings().problems == ()


@pytest.mark.parametrize(
    ("instance_class", "engine", "expected"),
    [
        # 16 GiB / 9,531,392
        ("db.r6g.large", "aurora-postgresql", 1802),
        ("db.t4g.medium", "aurora-postgresql", 450),
        # Capped: 64 GiB would be 7,209.
        ("db.r6g.2xlarge", "aurora-postgresql", 5000),
        ("db.r6g.large", "aurora-mysql", 1000),
        ("db.r5.24xlarge", "aurora-mysql", 7000),
        ("db.t3.medium", "aurora-mysql", 90),
        ("db.serverless", "aurora-postgresql", None),
    ],
)
def test_max_connections_are_those_of_the_aurora_guide(
    instance_class: str, engine: Any, expected: int | None
) -> None:
    assert max_connections(instance_class, engine) == expected


def test_the_fleets_connections_may_just_fill_four_fifths_of_the_database() -> None:
    # 80 % of 1,802 are 1,441: 1,440 of the workers, and 1 for cron.
    tier = {"max": 120, "workers_per_instance": 12}
    database = {"cron_connections": 1, "connection_margin": 0}
    assert findings(tiers={"web": tier}, database=database).problems == ()
    where, text = the_problem(tiers={"web": tier}, database=database | {"connection_margin": 1})
    assert where == "firstbell:platform/tiers/web/max"
    assert "120 instances x 12 workers x 1 connections + 1 cron + 1 margin = 1,442" in text
    assert "takes 1,802, of which 80% (1,441) may be used" in text
    assert "instance_class" in text


def test_a_proxy_needs_no_check_and_a_stated_max_connections_is_believed() -> None:
    tier = {"web": {"max": 100, "workers_per_instance": 20}}
    assert "2,040 connections" in the_problem(tiers=tier)[1]
    assert findings(tiers=tier, database={"proxy": True}).problems == ()
    # 80 % of 2,550 are 2,040.
    assert findings(tiers=tier, database={"max_connections": 2550}).problems == ()
    assert "takes 2,549" in the_problem(tiers=tier, database={"max_connections": 2549})[1]


def test_the_connections_of_all_tiers_add_up() -> None:
    tiers = {"web": {"max": 60}, "api": {"max": 70, "paths": ["/api/*"]}}
    where, text = the_problem(tiers=tiers)
    assert where == "firstbell:platform/tiers/api/max"
    assert "70 instances x 12 workers x 1 connections + 720 of the other tiers" in text


def test_a_class_of_unknown_memory_is_only_worth_a_warning() -> None:
    found = findings(database={"instance_class": "db.serverless"})
    assert found.problems == ()
    assert any("db.serverless is not known" in text for text in found.warnings)


IDLE = {"workers_per_instance": 1, "connections_per_worker": 0}


def test_a_load_balancer_takes_a_thousand_targets_and_no_more() -> None:
    tiers = {"web": {"max": 500} | IDLE, "api": {"max": 500, "paths": ["/api/*"]} | IDLE}
    assert findings(tiers=tiers).problems == ()
    tiers["api"] |= {"max": 501}
    where, text = the_problem(tiers=tiers)
    assert where == "firstbell:platform/tiers/api/max"
    assert "1,001 instances at most" in text
    assert (
        "aws service-quotas request-service-quota-increase --service-code elasticloadbalancing "
        "--quota-code L-7E6692B2 --desired-value 1001 --region eu-north-1"
    ) in text
    assert "once granted write firstbell:platform/quotas/targets_per_load_balancer: 1001" in text


def test_a_raised_quota_is_taken_and_may_not_be_exceeded_either() -> None:
    tiers = {"web": {"max": 1200} | IDLE}
    both = {"targets_per_load_balancer": 1200, "targets_per_target_group": 1200}
    assert findings(tiers=tiers, quotas=both).problems == ()
    _, text = the_problem(tiers=tiers, quotas=both | {"targets_per_target_group": 1100})
    assert "is 1,100 (firstbell:platform/quotas/targets_per_target_group)" in text


def test_a_quota_that_only_the_account_knows_is_a_warning_until_it_is_stated() -> None:
    # m7i.large has 2 vCPUs.
    tiers = {"web": {"max": 40}}
    found = findings(tiers=tiers)
    assert found.problems == ()
    (text,) = found.warnings
    assert "80 vCPUs" in text
    assert "--quota-code L-1216C47A --desired-value 80" in text
    assert findings(tiers=tiers, quotas={"standard_vcpus": 80}).warnings == ()
    _, refused = the_problem(tiers=tiers, quotas={"standard_vcpus": 79})
    assert "80 vCPUs of standard families, and the quota" in refused


def test_the_largest_of_a_tiers_types_counts_and_other_families_do_not() -> None:
    mixed = {"max": 10, "instance_types": ["m7i.large", "m7i.xlarge"]}
    _, text = the_problem(tiers={"web": mixed}, quotas={"standard_vcpus": 39})
    assert "40 vCPUs" in text
    other = {"max": 10, "instance_types": ["g4dn.xlarge"]}
    assert findings(tiers={"web": other}, quotas={"standard_vcpus": 1}).problems == ()


def test_a_hundred_tiers_are_the_most_that_one_balancer_takes() -> None:
    tiers = {"web": {"max": 2} | IDLE} | {
        f"t{number}": {"max": 2, "paths": [f"/{number}/*"]} | IDLE for number in range(99)
    }
    assert findings(tiers=tiers).problems == ()
    more = tiers | {"t99": {"max": 2, "paths": ["/99/*"]} | IDLE}
    rules, groups = findings(tiers=more).problems
    assert "--quota-code L-7EED9B64 --desired-value 101" in str(rules)
    assert "100 target groups, which cannot be raised" in str(groups)


def test_stated_quotas_below_the_defaults_are_believed() -> None:
    found = findings(quotas={"elastic_ips": 2, "db_instances": 3})
    assert [problem.where for problem in found.problems] == [
        "firstbell:platform/database/replicas/max",
        "firstbell:platform/network/nat",
    ]


def test_reserved_balancer_capacity_needs_a_quota_that_only_support_raises() -> None:
    (problem,) = check(settings(), {"balancer": reservation(500)}).problems
    assert problem.where == "firstbell:season"
    assert "a Support case" in str(problem)
    raised = settings(quotas={"reserved_capacity_units": 500})
    assert check(raised, {"balancer": reservation(500)}).problems == ()


def test_a_nat_gateway_holds_its_connections_to_one_destination() -> None:
    tier = {"max": 500, "workers_per_instance": 110, "connections_per_worker": 0}
    assert findings(tiers={"web": tier}, network={"nat": "single"}).problems == ()
    tier |= {"workers_per_instance": 111}
    where, text = the_problem(tiers={"web": tier}, network={"nat": "single"})
    assert where == "firstbell:platform/network/nat"
    assert "55,000" in text
    assert "write nat: zone" in text
    assert findings(tiers={"web": tier}, network={"nat": "zone"}).problems == ()


def test_a_subnet_may_just_be_filled() -> None:
    # /24 makes subnets of /28, 11 free addresses each.
    network = {"cidr": "10.0.0.0/24"}
    assert findings(network=network, tiers={"web": {"max": 33}}).problems == ()
    where, text = the_problem(network=network, tiers={"web": {"max": 34}})
    assert where == "firstbell:platform/network/cidr"
    assert "11 addresses each, and 12 are needed at the peak: 34 instances over 3 zones" in text
    assert "a /23" in text
    assert findings(network={"cidr": "10.0.0.0/23"}, tiers={"web": {"max": 34}}).problems == ()


def aws(**platform: Any) -> Subject:
    tier = {"web": {"image": "ami-0123456789abcdef0"}}
    return Subject(
        settings(
            {"firstbell:cloud": "aws", "aws:allowedAccountIds": ["111122223333"]},
            **{"certificate_arn": CERTIFICATE, "tiers": tier} | platform,
        )
    )


@pytest.mark.parametrize(
    ("arn", "complaint"),
    [
        (CERTIFICATE, None),
        (CERTIFICATE.replace("eu-north-1", "us-east-1"), "is of us-east-1"),
        (CERTIFICATE.replace("1111", "9999"), "is of account 999922223333"),
    ],
)
def test_a_certificate_of_another_region_or_account_is_refused(
    arn: str, complaint: str | None
) -> None:
    found = check(aws(certificate_arn=arn).settings, {}).problems
    assert [complaint in str(problem) for problem in found if complaint] == [True] * bool(complaint)
    assert bool(found) == bool(complaint)


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, None),
        ({"DomainName": "*.example.org", "SubjectAlternativeNames": []}, None),
        ({"DomainName": "example.org", "SubjectAlternativeNames": ["lms.example.org"]}, None),
        ({"DomainName": "*.lms.example.org"}, "not for lms.example.org"),
        ({"DomainName": "lms.example.com"}, "is for lms.example.com, not for lms.example.org"),
        ({"Status": "PENDING_VALIDATION"}, "only an issued certificate"),
    ],
)
def test_a_certificate_for_another_domain_or_not_issued_is_refused(
    changes: dict[str, Any], complaint: str | None
) -> None:
    described = {"Status": "ISSUED", "DomainName": "lms.example.org"} | changes
    found = check_described(aws(), described, now=NOW)
    assert bool(found.problems) == bool(complaint)
    assert all(str(complaint) in str(problem) for problem in found.problems)


def test_the_hosts_of_every_tier_need_a_certificate_too() -> None:
    tiers = {
        "web": {"image": "ami-0123456789abcdef0"},
        "tenant": {"image": "ami-0123456789abcdef0", "hosts": ["nantes.example.org"]},
    }
    described = {"Status": "ISSUED", "DomainName": "lms.example.org"}
    (problem,) = check_described(aws(tiers=tiers), described, now=NOW).problems
    assert "nantes.example.org (firstbell:platform/tiers/tenant/hosts)" in str(problem)


@pytest.mark.parametrize(("days", "warned"), [(46, 0), (44, 1)])
def test_a_certificate_that_ends_soon_is_worth_a_warning(days: int, warned: int) -> None:
    described = {
        "Status": "ISSUED",
        "DomainName": "lms.example.org",
        "NotAfter": NOW + timedelta(days=days),
    }
    assert len(check_described(aws(), described, now=NOW).warnings) == warned


def test_all_problems_are_reported_together() -> None:
    broken = settings(
        tiers={"web": {"max": 2000}}, network={"cidr": "10.0.0.0/24"}, quotas={"elastic_ips": 1}
    )
    with pytest.raises(Problems) as caught:
        refuse(broken, {})
    assert caught.value.exit_code == 2
    assert [problem.where.rsplit("/", 1)[-1] for problem in caught.value.problems] == [
        "max",
        "max",
        "max",
        "nat",
        "cidr",
    ]


def test_every_quota_can_be_stated_and_every_statement_is_a_quota() -> None:
    assert {quota.key for quota in QUOTAS} == set(QuotaSettings.model_fields)
