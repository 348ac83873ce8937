"""How prowler's findings are read: what is a failure of the stack, and what is not."""

from __future__ import annotations

from typing import Any

import pytest

from tests.scanner.prowler import failures

CHECKS = {
    "ec2_instance_imdsv2_enabled": ["EC2.8"],
    "rds_cluster_critical_event_subscription": ["RDS.19"],
    "cloudfront_distributions_using_waf": ["CloudFront.6"],
}


def finding(check: str, status: str, *, region: str = "eu-north-1", uid: str = "x") -> Any:
    return {
        "metadata": {"event_code": check},
        "cloud": {"region": region},
        "resources": [{"uid": uid}],
        "status_code": status,
        "status_detail": "",
    }


def controls(*found: Any, others: frozenset[str] = frozenset()) -> list[str]:
    return [failed.control for failed in failures(found, CHECKS, others)]


def test_a_failure_is_one_unless_it_is_of_what_every_account_has() -> None:
    failed = finding("ec2_instance_imdsv2_enabled", "FAIL", uid="arn:aws:ec2:x:instance/i-1")
    assert controls(failed, finding("ec2_instance_imdsv2_enabled", "PASS")) == ["EC2.8"]
    assert controls(failed, others=frozenset({"i-1"})) == []


@pytest.mark.parametrize(("region", "expected"), [("eu-north-1", []), ("us-east-1", ["RDS.19"])])
def test_one_event_subscription_of_the_right_kind_is_enough_in_its_region(
    region: str, expected: list[str]
) -> None:
    check = "rds_cluster_critical_event_subscription"
    assert controls(finding(check, "FAIL")) == ["RDS.19"]
    assert controls(finding(check, "FAIL"), finding(check, "PASS", region=region)) == expected


def test_in_the_edges_region_only_the_edge_counts() -> None:
    edge = finding("cloudfront_distributions_using_waf", "FAIL", region="us-east-1")
    assert controls(edge) == ["CloudFront.6"]
    assert controls(finding("ec2_instance_imdsv2_enabled", "FAIL", region="us-east-1")) == []
