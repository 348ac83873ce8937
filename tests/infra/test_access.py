"""Doors are open to the stack's own clients alone."""

from __future__ import annotations

from tests.infra.conftest import Record

RULE = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"


def test_each_tier_may_connect_to_the_database_and_nothing_else_may(record: Record) -> None:
    tiers = {"web": {}, "api": {"paths": ["/api/*"]}}
    rules = record(tiers=tiers).of_type(RULE)
    to_database = {name: rule for name, rule in rules.items() if "-database-" in name}
    assert set(to_database) == {"tiny-access-database-from-web", "tiny-access-database-from-api"}
    for rule in to_database.values():
        assert (rule["fromPort"], rule["toPort"], rule["ipProtocol"]) == (5432, 5432, "tcp")
        assert "referencedSecurityGroupId" in rule
        assert "cidrIpv4" not in rule
