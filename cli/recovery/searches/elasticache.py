"""Searches for resources of elasticache."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli.recovery.searches.base import Search, named

SEARCHES: Final[Mapping[str, Search]] = {
    "aws:elasticache/subnetGroup:SubnetGroup": named(
        "elasticache", "describe_cache_subnet_groups", "CacheSubnetGroupName", "name", "one"
    ),
    "aws:elasticache/parameterGroup:ParameterGroup": named(
        "elasticache", "describe_cache_parameter_groups", "CacheParameterGroupName", "name", "one"
    ),
    "aws:elasticache/user:User": named("elasticache", "describe_users", "UserId", "userId", "one"),
    "aws:elasticache/userGroup:UserGroup": named(
        "elasticache", "describe_user_groups", "UserGroupId", "userGroupId", "one"
    ),
    "aws:elasticache/replicationGroup:ReplicationGroup": named(
        "elasticache",
        "describe_replication_groups",
        "ReplicationGroupId",
        "replicationGroupId",
        "one",
    ),
}
