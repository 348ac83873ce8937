"""The database as the program declares it: safe by default, and each setting reaches a resource."""

from __future__ import annotations

import json

from infra.database import EVENTS
from tests.infra.conftest import Record

CLUSTER, INSTANCE = "aws:rds/cluster:Cluster", "aws:rds/clusterInstance:ClusterInstance"
CLUSTER_PARAMETERS = "aws:rds/clusterParameterGroup:ClusterParameterGroup"
LOG_GROUP = "aws:cloudwatch/logGroup:LogGroup"
PROXY = "aws:rds/proxy:Proxy"
NAME = "tiny-database"


def test_the_smallest_stack_has_a_database_that_passes_the_controls(record: Record) -> None:
    program = record()
    cluster = program.of_type(CLUSTER)[NAME]
    assert {
        "storageEncrypted": True,  # RDS.27
        "iamDatabaseAuthenticationEnabled": True,  # RDS.12
        "copyTagsToSnapshot": True,  # RDS.16
        "deletionProtection": True,  # RDS.7
        "manageMasterUserPassword": True,
        "masterUsername": "firstbell",  # RDS.24
        "backupRetentionPeriod": 14,
        "enabledCloudwatchLogsExports": ["postgresql"],  # RDS.37
        "skipFinalSnapshot": False,
    }.items() <= cluster.items()
    instances = program.of_type(INSTANCE)
    assert set(instances) == {f"{NAME}-writer", f"{NAME}-replica"}  # RDS.15
    for instance in instances.values():
        assert {
            "publiclyAccessible": False,  # RDS.2
            "autoMinorVersionUpgrade": True,  # RDS.13
            "copyTagsToSnapshot": True,  # RDS.17
            "monitoringInterval": 60,  # RDS.6
            "performanceInsightsEnabled": True,
        }.items() <= instance.items()
    subscriptions = program.of_type("aws:rds/eventSubscription:EventSubscription")
    told = {
        name.removeprefix(f"{NAME}-"): (s["sourceType"], s["eventCategories"])
        for name, s in subscriptions.items()
    }
    assert told == EVENTS  # RDS.19 to RDS.22
    assert not program.of_type(PROXY)


def test_what_preview_says_of_a_change_is_done_at_once_and_not_in_a_maintenance_window(
    record: Record,
) -> None:
    """AWS would wait for its weekly window, and refuse another major version altogether."""
    program = record()
    cluster, instances = program.of_type(CLUSTER)[NAME], program.of_type(INSTANCE)
    assert [each["applyImmediately"] for each in (cluster, *instances.values())] == [True] * 3
    assert cluster["allowMajorVersionUpgrade"]
    # What AWS does by itself it does on a Saturday night, not in the morning of some school day.
    windows = {each["preferredMaintenanceWindow"] for each in (cluster, *instances.values())}
    assert windows == {"sat:22:00-sat:23:00"}
    # The instances' group, of the new version's family, has to be there before.
    assert f"ParameterGroup::{NAME}" in program.dependencies(f"Cluster::{NAME}")
    # Two instances that restart at once leave nothing to fail over to.
    assert f"ClusterInstance::{NAME}-writer" in program.dependencies(
        f"ClusterInstance::{NAME}-replica"
    )


def test_the_engines_logs_are_kept_as_long_as_the_stack_says(record: Record) -> None:
    program = record(database={"engine": "aurora-mysql", "log_days": 400})
    groups = program.of_type(LOG_GROUP)
    kinds = {name.removeprefix(f"{NAME}-") for name in groups}
    assert kinds >= {"audit", "error", "general", "slowquery"}  # RDS.9
    assert {groups[f"{NAME}-audit"]["retentionInDays"]} == {400}
    # RDS makes a missing group as soon as an instance writes to it.
    waits = program.dependencies(f"ClusterInstance::{NAME}-writer")
    assert f"LogGroup::{NAME}-audit" in waits


def test_settings_reach_the_parameter_groups(record: Record) -> None:
    program = record(
        database={
            "max_connections": 2500,
            "slow_query_milliseconds": 250,
            "parameters": {"rds.logical_replication": "1"},
        }
    )
    group = program.of_type(CLUSTER_PARAMETERS)[NAME]
    assert group["family"] == "aurora-postgresql16"
    values = {p["name"]: (p["value"], p["applyMethod"]) for p in group["parameters"]}
    assert values == {
        "rds.force_ssl": ("1", "immediate"),
        "shared_preload_libraries": ("pg_stat_statements", "pending-reboot"),
        "log_min_duration_statement": ("250", "immediate"),
        "max_connections": ("2500", "pending-reboot"),
        "rds.logical_replication": ("1", "pending-reboot"),
    }


def test_a_proxy_asks_for_tls_and_reads_one_secret(record: Record) -> None:
    program = record(database={"proxy": True, "engine": "aurora-mysql"})
    proxy = program.of_type(PROXY)[NAME]
    assert (proxy["engineFamily"], proxy["requireTls"]) == ("MYSQL", True)
    waits = program.dependencies(f"ProxyTarget::{NAME}")
    assert f"ClusterInstance::{NAME}-writer" in waits
    # It stands in the database's security group, which lets itself in and out.
    rules = program.of_type("aws:vpc/securityGroupEgressRule:SecurityGroupEgressRule")
    assert rules[f"{NAME}-from-proxy"]["fromPort"] == 3306
    role = program.of_type("aws:iam/role:Role")[f"{NAME}-proxy"]
    trusted = json.loads(role["assumeRolePolicy"])["Statement"][0]["Principal"]
    assert trusted == {"Service": "rds.amazonaws.com"}
