"""Searches for resources of rds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli.recovery.searches.base import Search, named

SEARCHES: Final[Mapping[str, Search]] = {
    "aws:rds/subnetGroup:SubnetGroup": named(
        "rds", "describe_db_subnet_groups", "DBSubnetGroupName", "name", "one"
    ),
    "aws:rds/clusterParameterGroup:ClusterParameterGroup": named(
        "rds", "describe_db_cluster_parameter_groups", "DBClusterParameterGroupName", "name", "one"
    ),
    "aws:rds/cluster:Cluster": named(
        "rds", "describe_db_clusters", "DBClusterIdentifier", "clusterIdentifier", "one"
    ),
    "aws:rds/clusterInstance:ClusterInstance": named(
        "rds", "describe_db_instances", "DBInstanceIdentifier", "identifier", "one"
    ),
}
