"""Each check at and just past its limit."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import yaml

from infra.checks import Subject, check, examine
from infra.checks.certificate import check_described
from infra.checks.connections import max_connections
from infra.checks.quotas import QUOTAS, VCPUS_BY_FAMILY
from infra.errors import Problems
from infra.paths import PROJECT_ROOT
from infra.season.season_file import TargetKind
from infra.settings.quotas import QuotaSettings
from infra.settings.stack import from_config
from tests.infra.checks.builders import findings, reservation, scheduled, settings

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


@pytest.mark.parametrize(("stated", "warned"), [(1802, 0), (1803, 1)])
def test_more_connections_than_the_class_bears_are_worth_a_warning(
    stated: int, warned: int
) -> None:
    found = findings(database={"max_connections": stated})
    assert found.problems == ()
    assert len([text for text in found.warnings if "more than the 1,802" in text]) == warned


def test_a_proxy_is_not_proposed_where_there_is_none() -> None:
    tier = {"web": {"max": 200}}
    _, text = the_problem(tiers=tier)
    assert "or write firstbell:platform/database/proxy: true" in text
    _, text = the_problem(tiers=tier, database={"version": "18"})
    assert "proxy: true" not in text
    assert "or take a larger firstbell:platform/database/instance_class" in text


def test_the_connections_of_all_tiers_add_up() -> None:
    tiers = {"web": {"max": 60}, "api": {"max": 70, "paths": ["/api/*"]}}
    where, text = the_problem(tiers=tiers)
    assert where == "firstbell:platform/tiers/api/max"
    assert "70 instances x 12 workers x 1 connections + 720 of the other tiers" in text


def test_itslearning_needs_the_class_it_has() -> None:
    """docs/stacks/itslearning.md says that the next smaller one is refused."""
    file = PROJECT_ROOT / "stacks" / "Pulumi.itslearning.yaml"
    config: dict[str, Any] = yaml.safe_load(file.read_text())["config"]
    assert check(from_config("itslearning", config, source="a test"), {}).problems == ()
    config["firstbell:platform"]["database"]["instance_class"] = "db.r6g.large"
    (problem,) = check(from_config("itslearning", config, source="a test"), {}).problems
    assert "aurora-postgresql on db.r6g.large takes 1,802" in str(problem)


def test_a_class_of_unknown_memory_is_only_worth_a_warning() -> None:
    found = findings({"aws:region": "us-east-1"}, database={"instance_class": "db.x2g.large"})
    assert found.problems == ()
    (text,) = [text for text in found.warnings if "db.x2g.large is not known" in text]
    assert "write firstbell:platform/database/max_connections" in text


IDLE = {"workers_per_instance": 1, "connections_per_worker": 0}


def test_a_load_balancer_takes_a_thousand_targets_and_no_more() -> None:
    # 416, a tenth, 42, that come before others go, and those, which finish their requests.
    tiers = {"web": {"max": 416} | IDLE, "api": {"max": 416, "paths": ["/api/*"]} | IDLE}
    assert findings(tiers=tiers).problems == ()
    tiers["api"] |= {"max": 417}
    where, text = the_problem(tiers=tiers)
    assert where == "firstbell:platform/tiers/api/max"
    assert "1,001 instances at most, while some are replaced" in text
    assert (
        "aws service-quotas request-service-quota-increase --service-code elasticloadbalancing "
        "--quota-code L-7E6692B2 --desired-value 1001 --region eu-north-1"
    ) in text
    assert "once granted write firstbell:platform/quotas/targets_per_load_balancer: 1001" in text


def test_a_raised_quota_is_taken_and_may_not_be_exceeded_either() -> None:
    tiers = {"web": {"max": 1200} | IDLE}
    both = {"targets_per_load_balancer": 1440, "targets_per_target_group": 1440}
    assert findings(tiers=tiers, quotas=both).problems == ()
    _, text = the_problem(tiers=tiers, quotas=both | {"targets_per_target_group": 1100})
    assert "is 1,100 (firstbell:platform/quotas/targets_per_target_group)" in text


def test_a_quota_that_only_the_account_knows_is_a_warning_until_it_is_stated() -> None:
    # m7i.large has 2 vCPUs; 4 of them come before others go, and 4 are about to go.
    tiers = {"web": {"max": 40}}
    found = findings(tiers=tiers)
    assert found.problems == ()
    (text,) = found.warnings
    assert "96 vCPUs" in text
    assert "--quota-code L-1216C47A --desired-value 96" in text
    assert findings(tiers=tiers, quotas={"standard_vcpus": 96}).warnings == ()
    _, refused = the_problem(tiers=tiers, quotas={"standard_vcpus": 95})
    assert "96 vCPUs of standard families, with what comes before others go" in refused


@pytest.mark.parametrize(
    ("tier", "instances", "targets"),
    [
        # When AWS evens out the zones, it takes a tenth or one over the maximum.
        ({"refresh": {"max_healthy_percent": 100}, "drain_seconds": 0}, 44, 44),
        ({"max": 4}, 6, 6),
        ({"refresh": {"max_healthy_percent": 150}}, 80, 80),
        ({"max": 33, "refresh": {"max_healthy_percent": 150}}, 67, 67),
        # Old ones finish their requests, as long as draining takes, while the next come: 4 minutes
        # are a boot, and so a batch.
        ({"drain_seconds": 240}, 48, 48),
        ({"drain_seconds": 241}, 52, 52),
        ({"drain_seconds": 3600}, 84, 84),
        ({"refresh": {"min_healthy_percent": 50, "max_healthy_percent": 100}}, 64, 64),
        # Prepared ones run, wherever they wait then, and are no targets yet.
        ({"warm_pool": {"min": 6, "max_prepared": 40}}, 54, 48),
        ({"warm_pool": {"min": 6, "max_prepared": 40, "state": "Running"}}, 54, 48),
    ],
)
def test_what_comes_before_others_go_counts_as_aws_counts_it(
    tier: dict[str, Any], instances: int, targets: int
) -> None:
    """Or a release on an exam morning fails half way, for want of the quota."""
    tiers = {"web": {"max": 40} | IDLE | tier}
    enough = {"standard_vcpus": 2 * instances, "targets_per_target_group": targets}
    assert findings(tiers=tiers, quotas=enough).problems == ()
    one_less = {"standard_vcpus": 2 * instances - 1, "targets_per_target_group": targets - 1}
    group, vcpus = findings(tiers=tiers, quotas=one_less).problems
    assert f"{targets} instances in one target group" in str(group)
    assert f"--desired-value {2 * instances}" in str(vcpus)


def test_the_largest_of_a_tiers_types_counts_and_other_families_do_not() -> None:
    mixed = {"max": 10, "instance_types": ["m7i.large", "m7i.xlarge"]}
    _, text = the_problem(tiers={"web": mixed}, quotas={"standard_vcpus": 47})
    assert "48 vCPUs" in text
    other = {"max": 10, "instance_types": ["g4dn.xlarge"]}
    quotas = {"standard_vcpus": 1, "g_and_vt_vcpus": 48}
    assert findings(tiers={"web": other}, quotas=quotas).problems == ()


def test_a_hundred_tiers_are_the_most_that_one_balancer_takes() -> None:
    tiers = {"web": {"max": 2} | IDLE} | {
        f"t{number}": {"max": 2, "paths": [f"/{number}/*"]} | IDLE for number in range(99)
    }
    quotas = {"rules_per_security_group": 101}
    assert findings(tiers=tiers, quotas=quotas).problems == ()
    more = tiers | {"t99": {"max": 2, "paths": ["/99/*"]} | IDLE}
    rules, groups = findings(tiers=more, quotas=quotas).problems
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
    # /24 makes subnets of /28, 11 free addresses each: 6 for endpoints, 3 for the instances, 1 for
    # one that comes before another goes, 1 for that one.
    network = {"cidr": "10.0.0.0/24"}
    assert findings(network=network, tiers={"web": {"max": 9}}).problems == ()
    where, text = the_problem(network=network, tiers={"web": {"max": 10}})
    assert where == "firstbell:platform/network/cidr"
    assert (
        "11 addresses each, and 12 are needed at the peak: 4 for 10 instances over 3 zones, "
        "1 for 1 more while instances are replaced, 1 for 1 that finish their requests meanwhile, "
        "6 for interface endpoints"
    ) in text
    assert "a /23" in text
    assert findings(network={"cidr": "10.0.0.0/23"}, tiers={"web": {"max": 10}}).problems == ()


@pytest.mark.parametrize(
    ("platform", "needed"),
    [
        ({}, None),
        ({"endpoint_zones": "all"}, "15 are needed at the peak"),
        ({"refresh": {"max_healthy_percent": 150}}, "2 for 5 more while instances are replaced"),
        ({"warm_pool": {"min": 4, "max_prepared": 8}}, "2 for 4 more that warm pools always keep"),
        ({"workers": {"max": 1}}, "5 for 13 instances"),
    ],
)
def test_everything_that_takes_an_address_beside_instances_counts(
    platform: dict[str, Any], needed: str | None
) -> None:
    network = {"cidr": "10.0.0.0/24"} | {
        key: platform[key] for key in ("endpoint_zones",) if key in platform
    }
    tier = {"max": 12 if "workers" in platform else 9} | {
        key: platform[key] for key in ("refresh", "warm_pool") if key in platform
    }
    more = {"workers": platform["workers"]} if "workers" in platform else {}
    found = findings(network=network, tiers={"web": tier}, **more).problems
    assert len(found) == (needed is not None)
    assert all(str(needed) in str(problem) for problem in found)


def test_proxy_cache_and_mount_targets_share_the_data_subnets() -> None:
    # 11 free: 3 of 8 DB instances, 1 mount target, 7 of 20 cache nodes.
    holds: dict[str, Any] = {
        "network": {"cidr": "10.0.0.0/24"},
        "tiers": {"web": {"max": 6}},
        "database": {"replicas": {"max": 7}},
        "files": {},
        "cache": {"cluster_mode": True, "shards": 10},
    }
    assert findings(**holds).problems == ()
    (one_more,) = findings(**holds | {"cache": {"cluster_mode": True, "shards": 11}}).problems
    assert "12 are needed at the peak: 3 for 8 DB instances over 3 zones" in str(one_more)
    assert "8 for 22 cache nodes over 3 zones, 1 for a mount target" in str(one_more)
    # 10 for each of the proxy's DB instances, 20 over 3 zones, and the instances themselves.
    small = {"network": {"cidr": "10.0.0.0/24"}, "tiers": {"web": {"max": 6}}}
    database: dict[str, Any] = {"proxy": True, "replicas": {"max": 1}}
    assert findings(**small, database=database).problems == ()
    database |= {"instance_class": "db.r6g.4xlarge"}
    (larger,) = findings(**small, database=database).problems
    assert "17 for RDS Proxy, 25 for each of its DB instances" in str(larger)


def test_the_largest_block_is_not_told_to_be_larger() -> None:
    tiers = {"web": {"max": 12_000} | IDLE}
    more = {"targets_per_load_balancer": 20_000, "targets_per_target_group": 20_000}
    where, text = the_problem(tiers=tiers, quotas=more | {"standard_vcpus": 100_000})
    assert where == "firstbell:platform/network/cidr"
    assert (
        "(lower what the tiers may grow to; no quota helps, and AWS takes no larger block)" in text
    )


@pytest.mark.parametrize(
    ("cidr", "warned"), [("8.8.0.0/16", 1), ("10.8.0.0/16", 0), ("100.64.0.0/16", 0)]
)
def test_a_block_of_somebody_on_the_internet_is_worth_a_warning(cidr: str, warned: int) -> None:
    found = findings(network={"cidr": cidr}).warnings
    assert len([text for text in found if "belongs to somebody on the internet" in text]) == warned


def test_each_tier_takes_a_rule_of_the_databases_security_group() -> None:
    tiers = {"web": {"max": 2} | IDLE} | {
        f"t{number}": {"max": 2, "paths": [f"/{number}/*"]} | IDLE for number in range(58)
    }
    assert findings(tiers=tiers, workers={}).problems == ()
    (problem,) = findings(tiers=tiers, workers={}, database={"proxy": True}).problems
    assert "60 tiers and workers, a rule each in the database's security group, and one" in str(
        problem
    )
    assert "--service-code vpc --quota-code L-0EA8095F --desired-value 61" in str(problem)


def test_a_cache_has_so_many_nodes_and_no_more() -> None:
    cache = {"cluster_mode": True, "shards": 30, "replicas": {"min": 2, "max": 2}}
    assert findings(cache=cache).problems == ()
    where, text = the_problem(cache=cache | {"shards": 31})
    assert where == "firstbell:platform/cache/shards"
    assert "31 shards of 3 nodes are 93 cache nodes" in text
    assert "--service-code elasticache --quota-code L-AF354865 --desired-value 93" in text
    raised = {"cache_nodes_per_cluster": 500}
    assert findings(cache=cache | {"shards": 90}, quotas=raised).problems == ()
    _, text = the_problem(cache=cache | {"shards": 90}, quotas=raised | {"cache_nodes": 269})
    assert "270 cache nodes" in text


@pytest.mark.parametrize(
    ("kind", "key", "code", "vcpus"),
    [
        ("g4dn.xlarge", "g_and_vt_vcpus", "L-DB2E81BA", 16),
        ("gr6.4xlarge", "g_and_vt_vcpus", "L-DB2E81BA", 64),
        ("vt1.3xlarge", "g_and_vt_vcpus", "L-DB2E81BA", 48),
        ("p5.4xlarge", "p_vcpus", "L-417A185B", 64),
        # How many it has the table does not know: one at least.
        ("p3.2xlarge", "p_vcpus", "L-417A185B", 4),
        ("x2iedn.xlarge", "x_vcpus", "L-7295265B", 16),
        ("inf2.xlarge", "inf_vcpus", "L-1945791B", 16),
        # Of the family I, not one of its own.
        ("is4gen.medium", "standard_vcpus", "L-1216C47A", 4),
    ],
)
def test_each_family_has_a_quota_of_its_own(kind: str, key: str, code: str, vcpus: int) -> None:
    tier = {"max": 2, "instance_types": [kind], "image": "ami-0123456789abcdef0"}
    tiers = {"web": tier}
    region = {"aws:region": "us-east-1"}
    assert findings(region, tiers=tiers, quotas={key: vcpus}).problems == ()
    where, text = the_problem(region, tiers=tiers, quotas={key: vcpus - 1})
    assert where == "firstbell:platform/tiers/web/max"
    assert f"{vcpus} vCPUs" in text
    assert f"--service-code ec2 --quota-code {code} --desired-value {vcpus}" in text
    assert f"once granted write firstbell:platform/quotas/{key}: {vcpus}" in text


def test_a_new_account_has_none_of_the_other_families() -> None:
    _, text = the_problem(tiers={"web": {"max": 3, "instance_types": ["g4dn.xlarge"]}})
    assert "'Running On-Demand G and VT instances' is 0 (a new account's)" in text


def test_every_family_of_the_table_has_a_quota_but_mac() -> None:
    """Or a family that AWS brings tomorrow would pass unseen."""
    names = json.loads((PROJECT_ROOT / "infra" / "data" / "instances.json").read_text())
    families = {re.match("[a-z]+", kind).group() for kind in names["instance_types"]}  # pyright: ignore[reportOptionalMemberAccess] (each begins with a letter)
    assert families - set(VCPUS_BY_FAMILY) == {"mac"}


def test_a_certificate_has_ten_names_and_no_more() -> None:
    tiers: dict[str, Any] = {"web": {}} | {
        tier: {"max": 2, "hosts": [f"{tier}{number}.example.org" for number in range(count)]}
        for tier, count in (("cities", 5), ("villages", 4))
    }
    assert findings(tiers=tiers).problems == ()
    tiers["islands"] = {"max": 2, "hosts": ["one.more.example.org"]}
    where, text = the_problem(tiers=tiers)
    assert where == "firstbell:platform/tiers/cities/hosts"
    assert "11 names are to stand in one certificate of eu-north-1" in text
    assert "take a wildcard such as *.example.org" in text
    assert "--service-code acm --quota-code L-FB94F0B0 --desired-value 11" in text
    assert findings(tiers=tiers, quotas={"certificate_names": 11}).problems == ()
    # One that is there already is ACM's to say; the CDN's is requested in us-east-1.
    assert findings(tiers=tiers, certificate_arn=CERTIFICATE).problems == ()
    names: dict[str, Any] = {f"t{n}": {"hosts": [f"t{n}.example.org"]} | IDLE for n in range(10)}
    names["web"] = {}
    (edge,) = findings(tiers=names, edge={}, certificate_arn=CERTIFICATE).problems
    assert "--desired-value 11 --region us-east-1" in str(edge)


@pytest.mark.parametrize(
    ("kind", "most"), [("autoscaling-group", 125), ("worker-hours", 125), ("aurora-replicas", 200)]
)
def test_a_plan_may_just_have_the_actions_that_aws_takes(kind: TargetKind, most: int) -> None:
    assert check(settings(), {"web": scheduled(kind, most)}).problems == ()
    (problem,) = check(settings(), {"web": scheduled(kind, most + 1)}).problems
    assert problem.where == "firstbell:season: capacity/web"
    assert f"{most + 1} scheduled actions, and AWS allows {most}" in str(problem)
    assert "firstbell season plan -s tiny" in str(problem)


@pytest.mark.parametrize(
    ("one", "other", "common"),
    [
        ({"hosts": ["a.org", "b.org"]}, {"hosts": ["B.org"]}, "b.org"),
        ({"paths": ["/api/*", "/x"]}, {"paths": ["/x"]}, "/x"),
        ({"hosts": ["a.org"], "paths": ["/x"]}, {"hosts": ["a.org"], "paths": ["/y"]}, None),
        # The more special rule comes first: nothing is left to chance.
        ({"hosts": ["a.org"], "paths": ["/x"]}, {"hosts": ["a.org"]}, None),
        ({"hosts": ["a.org", "b.org"]}, {"hosts": ["b.org"], "takes_requests": False}, None),
    ],
)
def test_tiers_that_claim_a_host_or_path_in_common_are_warned_of(
    one: dict[str, Any], other: dict[str, Any], common: str | None
) -> None:
    found = findings(tiers={"web": {}, "one": one, "other": other})
    assert found.problems == ()
    said = [text for text in found.warnings if "both claim" in text]
    assert [f"tiers/one and tiers/other both claim {common}:" in text for text in said] == (
        [] if common is None else [True]
    )


def test_types_that_the_table_does_not_know_are_warnings_on_aws() -> None:
    image = {"image": "ami-0123456789abcdef0"}
    known = aws(tiers={"web": image}).settings
    assert [text for text in check(known, {}).warnings if "no known" in text] == []
    new = aws(
        tiers={"web": image | {"instance_types": ["m99i.large"]}},
        database={"instance_class": "db.r99g.large", "max_connections": 5000},
        cache={"node_type": "cache.t99g.small"},
    ).settings
    said = [text for text in check(new, {}).warnings if "is no known" in text]
    assert [text.split(":")[1].split("/", 1)[1] for text in said] == [
        "tiers/web/instance_types",
        "database/instance_class",
        "cache/node_type",
    ]


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
    if complaint is None:
        assert check(aws(certificate_arn=arn).settings, {}).problems == ()
        return
    with pytest.raises(Problems) as caught:
        aws(certificate_arn=arn)
    (problem,) = caught.value.problems
    assert problem.where == "firstbell:platform/certificate_arn"
    assert complaint in problem.what


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
        "tenant": {
            "image": "ami-0123456789abcdef0",
            "hosts": ["nantes.example.org", "LMS.example.org"],
        },
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
        examine(broken, NOW).refuse()
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
