"""What a stack's file may say of the database, and how it is told that it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from infra.database_parameters import (
    cluster_parameters,
    family,
    has_performance_insights,
    instance_parameters,
)
from infra.settings.database import DatabaseSettings
from tests.conftest import WriteStack
from tests.infra.settings.test_stack import platform, problems


def database(**settings: Any) -> DatabaseSettings:
    return DatabaseSettings.model_validate(settings)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"replicas": {"max": 16}}, "database/replicas/max: input should be less than or equal to"),
        ({"replicas": {"min": 4, "max": 3}}, "database/replicas: min 4 is greater than max 3"),
        ({"instance_class": "db.m5.large"}, "'db.m5.large' is no known aurora-postgresql instance"),
        ({"engine": "postgres"}, "'aurora-postgresql' or 'aurora-mysql', not 'postgres'"),
        ({"version": "sixteen"}, "no version of aurora-postgresql (write 16 or 16.6)"),
        ({"engine": "aurora-mysql", "version": "8"}, "no version of aurora-mysql (write 8.0 or"),
        ({"proxy": True, "version": "11"}, "AWS has no RDS Proxy for aurora-postgresql 11 (take"),
        ({"admin_user": "postgres"}, "the first name that an attacker tries (choose another)"),
        ({"parameters": {"rds.force_ssl": "0"}}, "rds.force_ssl comes from a setting of its own"),
        ({"monitoring_seconds": 7}, "1, 5, 10, 15, 30 or 60, not 7"),
        ({"proxi": True}, "database/proxi: unknown key 'proxi' (did you mean 'proxy'?)"),
    ],
)
def test_what_aws_would_refuse_is_refused(
    write_stack: WriteStack, settings: dict[str, Any], complaint: str
) -> None:
    (found,) = problems(write_stack, **platform(database=settings))
    assert complaint in found


def test_a_proxy_where_the_region_has_none_is_refused(write_stack: WriteStack) -> None:
    found = problems(
        write_stack, **{"aws:region": "ap-southeast-6"}, **platform(database={"proxy": True})
    )
    assert (
        "firstbell:platform/database/proxy: ap-southeast-6 has no RDS Proxy (write proxy: false, "
        "or take another Region)"
    ) in found


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, "aurora-postgresql16"),
        ({"version": "15.4"}, "aurora-postgresql15"),
        ({"engine": "aurora-mysql"}, "aurora-mysql8.0"),
        (
            {"engine": "aurora-mysql", "version": "8.0.mysql_aurora.3.08.0"},
            "aurora-mysql8.0",
        ),
    ],
)
def test_parameter_groups_are_of_the_major_version(settings: dict[str, Any], expected: str) -> None:
    assert family(database(**settings)) == expected


@pytest.mark.parametrize("engine", ["aurora-postgresql", "aurora-mysql"])
def test_each_engine_takes_no_connection_without_tls(engine: str) -> None:
    values = {p.name: p.value for p in cluster_parameters(database(engine=engine))}
    assert values.get("rds.force_ssl") == "1" or values.get("require_secure_transport") == "ON"
    assert "max_connections" not in values
    assert instance_parameters(database(engine=engine))


def test_mysql_takes_its_slow_query_time_in_seconds() -> None:
    settings = database(engine="aurora-mysql", slow_query_milliseconds=250)
    values = {p.name: p.value for p in cluster_parameters(settings)}
    assert (values["long_query_time"], values["server_audit_logging"]) == ("0.25", "1")


def test_burstable_mysql_has_no_performance_insights() -> None:
    assert not has_performance_insights(
        database(engine="aurora-mysql", instance_class="db.t4g.medium")
    )
    assert has_performance_insights(database(instance_class="db.t4g.medium"))
