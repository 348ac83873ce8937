"""What the database's proxy, its parameters and the cache change in the checks at preview."""

from __future__ import annotations

from typing import Any

from infra.checks.hours import monthly_hours
from tests.infra.checks.builders import findings, settings

# 100 instances of 16 workers want more connections than a db.r6g.large takes.
MANY: dict[str, Any] = {"tiers": {"web": {"max": 200, "workers_per_instance": 16}}}


def about_connections(**database: Any) -> list[str]:
    found = findings(**MANY, database=database).problems
    return [str(problem) for problem in found if "connections" in problem.what]


def test_a_proxy_takes_the_connections_that_the_writer_cannot() -> None:
    assert about_connections()
    assert not about_connections(proxy=True)


def test_max_connections_of_the_stack_file_is_what_counts() -> None:
    (found,) = about_connections(max_connections=3000)
    assert "takes 3,000, of which 80% (2,400) may be used" in found
    assert not about_connections(max_connections=9000)


def test_the_caches_nodes_need_addresses() -> None:
    tight = {"network": {"cidr": "10.0.0.0/24"}, "tiers": {"web": {"max": 6}}}
    assert not findings(**tight).problems
    wide = {
        "cluster_mode": True,
        "shards": 20,
        "replicas": {"min": 1, "max": 1},
    }
    (found,) = findings(**tight, cache=wide).problems
    assert "40 cache nodes" in str(found)


def test_the_caches_nodes_are_counted_in_the_months_hours() -> None:
    hours = {row.name: row.static for row in monthly_hours(settings(cache={}), None)}
    month = hours["cache primary"]
    assert hours["cache"] == month
    sharded = settings(cache={"cluster_mode": True, "shards": 3})
    hours = {row.name: row.static for row in monthly_hours(sharded, None)}
    assert hours["cache primary"] == 6 * month
