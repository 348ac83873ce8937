"""Searches for resources of rds."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search, named


def _proxy_target(client: Clients, inputs: Inputs) -> Iterator[str]:
    proxy, cluster = inputs["dbProxyName"], inputs["dbClusterIdentifier"]
    found = client("rds").describe_db_proxy_targets(DBProxyName=proxy)
    if any(target["RdsResourceId"] == cluster for target in found["Targets"]):
        yield f"{proxy}/{inputs['targetGroupName']}/TRACKED_CLUSTER/{cluster}"


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:rds/subnetGroup:SubnetGroup": named(
        "rds", "describe_db_subnet_groups", "DBSubnetGroupName", "name", "one"
    ),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": named(
        "rds", "describe_db_cluster_parameter_groups", "DBClusterParameterGroupName", "name", "one"
    ),
    "aws:rds/parameterGroup:ParameterGroup": named(
        "rds", "describe_db_parameter_groups", "DBParameterGroupName", "name", "one"
    ),
    "aws:rds/proxy:Proxy": named("rds", "describe_db_proxies", "DBProxyName", "name", "one"),
    "aws:rds/proxyTarget:ProxyTarget": _proxy_target,
    "aws:rds/eventSubscription:EventSubscription": named(
        "rds", "describe_event_subscriptions", "SubscriptionName", "name", "one"
    ),
    "aws:rds/cluster:Cluster": named(
        "rds", "describe_db_clusters", "DBClusterIdentifier", "clusterIdentifier", "one"
    ),
    "aws:rds/clusterInstance:ClusterInstance": named(
        "rds", "describe_db_instances", "DBInstanceIdentifier", "identifier", "one"
    ),
}

# It comes with its proxy: saying again what it is like changes nothing.
REPEATABLE: Final = frozenset({"aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup"})
