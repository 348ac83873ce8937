"""ElastiCache. moto makes replication groups, but hardly changes them: no replica count, no change
or deletion of subnet groups, no change of users, no parameter groups, no user groups. So all of it
is recorded, in one piece.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from cli.localcloud.recorded.base import (
    NOW,
    Amended,
    Answer,
    Asked,
    Handler,
    Recorded,
    RecordedError,
    Thing,
)

_SERVICE: Final = "elasticache"
_TAGGING: Final = "AddTagsToResource RemoveTagsFromResource ListTagsForResource"
_GROUPS, _SUBNETS, _USERS = "replication group", "cache subnet group", "user"
_USER_GROUPS, _PARAMETERS = "user group", "cache parameter group"
_SNAPSHOTS: Final = "snapshot"
# What a snapshot says of the group that it was taken of.
_OF_A_GROUP: Final = (
    "ReplicationGroupId",
    "CacheNodeType",
    "Engine",
    "AutoMinorVersionUpgrade",
    "SnapshotRetentionLimit",
    "AutomaticFailover",
)


@dataclass(frozen=True)
class _Named(Recorded):
    """What is described by name: asked for one that is not there, ElastiCache refuses."""

    def _list(self, asked: Asked) -> Answer:
        found = super()._list(asked)
        if self.key in asked.request and not self.selected(asked):
            raise RecordedError(self.missing, f"{asked.request[self.key]} does not exist")
        return found


@dataclass(frozen=True)
class _SubnetGroups(_Named):
    """Shows zone and VPC of its subnets."""

    def _thing(self, asked: Asked, given: Thing) -> Thing:
        from moto.ec2.models import ec2_backends

        subnets = ec2_backends[asked.account][asked.region].describe_subnets(
            subnet_ids=list(given["SubnetIds"])
        )
        thing = dict(given) | {
            "VpcId": subnets[0].vpc_id,
            "Subnets": [
                {
                    "SubnetIdentifier": subnet.id,
                    "SubnetAvailabilityZone": {"Name": subnet.availability_zone},
                }
                for subnet in subnets
            ],
        }
        return super()._thing(asked, thing)


@dataclass(frozen=True)
class _Parameters(_Named):
    """A group and, in calls of their own, its parameters."""

    def handlers(self) -> dict[str, Handler]:
        return super().handlers() | {
            "ModifyCacheParameterGroup": self._set,
            "ResetCacheParameterGroup": self._reset,
            "DescribeCacheParameters": self._show,
        }

    def _values(self, asked: Asked) -> dict[str, str]:
        return self._existing(asked).setdefault("values", {})

    def _set(self, asked: Asked) -> Answer:
        values = self._values(asked)
        for parameter in asked.request["ParameterNameValues"]:
            values[parameter["ParameterName"]] = parameter.get("ParameterValue", "")
        return {self.key: asked.request[self.key]}

    def _reset(self, asked: Asked) -> Answer:
        values = self._values(asked)
        given = asked.request.get("ParameterNameValues", [])
        names = [parameter["ParameterName"] for parameter in given]
        for name in list(values) if asked.request.get("ResetAllParameters") else names:
            values.pop(name, None)
        return {self.key: asked.request[self.key]}

    def _show(self, asked: Asked) -> Answer:
        shown = [
            {"ParameterName": name, "ParameterValue": value, "Source": "user"}
            for name, value in self._values(asked).items()
        ]
        return {"Parameters": shown}


@dataclass(frozen=True)
class _Users(_Named):
    """Says how a user signs in and how many passwords it has, never which."""

    def _thing(self, asked: Asked, given: Thing) -> Thing:
        mode: Mapping[str, Any] = given.get("AuthenticationMode") or {}
        passwords = mode.get("Passwords") or given.get("Passwords") or []
        kind = mode.get("Type") or ("password" if passwords else "no-password-required")
        kind = {"no-password": "no-password-required"}.get(kind, kind)
        thing = {
            name: value
            for name, value in given.items()
            if name not in ("AuthenticationMode", "Passwords", "NoPasswordRequired")
        }
        if mode or passwords or given.get("NoPasswordRequired") or "Authentication" not in thing:
            thing["Authentication"] = {"Type": kind, "PasswordCount": len(passwords)}
        return super()._thing(asked, thing)


def _changed(thing: Thing, member: str) -> list[str]:
    """A list after what a request adds to it and takes from it."""
    gone = set(thing.pop(f"{member}ToRemove", None) or [])
    kept = [name for name in thing.get(member) or [] if name not in gone]
    return kept + [name for name in thing.pop(f"{member}ToAdd", None) or [] if name not in kept]


def _exist(asked: Asked, kind: str, names: Iterable[str], code: str) -> None:
    there = asked.store.things(_SERVICE, kind, asked.region)
    for name in names:
        if name not in there:
            raise RecordedError(code, f"{kind} {name} does not exist")


@dataclass(frozen=True)
class _UserGroups(_Named):
    """Users by name, who exist."""

    def _thing(self, asked: Asked, given: Thing) -> Thing:
        thing = dict(given)
        thing["UserIds"] = _changed(thing, "UserIds")
        _exist(asked, _USERS, thing["UserIds"], "UserNotFound")
        return super()._thing(asked, thing)


@dataclass(frozen=True)
class _ReplicationGroups(_Named):
    """Shards with a primary and replicas, spread over the zones of the subnet group."""

    def _thing(self, asked: Asked, given: Thing) -> Thing:
        thing = dict(given)
        thing["UserGroupIds"] = _changed(thing, "UserGroupIds")
        _exist(asked, _USER_GROUPS, thing["UserGroupIds"], "UserGroupNotFound")
        subnets = thing.get("CacheSubnetGroupName")
        _exist(asked, _SUBNETS, [subnets] if subnets else [], "CacheSubnetGroupNotFoundFault")
        if "ReplicationGroupDescription" in thing:
            thing["Description"] = thing.pop("ReplicationGroupDescription")
        for flag, shown in (("AutomaticFailoverEnabled", "AutomaticFailover"),
                            ("MultiAZEnabled", "MultiAZ")):  # fmt: skip
            if flag in thing:
                thing[shown] = "enabled" if thing.pop(flag) else "disabled"
        if "AuthToken" in thing:
            thing["AuthTokenEnabled"] = bool(thing.pop("AuthToken"))
        replicas = thing.pop("NewReplicaCount", thing.get("ReplicasPerNodeGroup"))
        if replicas is None:
            replicas = thing.get("NumCacheClusters", 1) - 1
        thing["ReplicasPerNodeGroup"] = replicas
        thing.pop("NumCacheClusters", None)
        thing["PendingModifiedValues"] = {}
        thing["ClusterEnabled"] = thing.get("ClusterMode") == "enabled"
        thing.setdefault("AutomaticFailover", "disabled")
        thing.setdefault("MultiAZ", "disabled")
        thing |= self._nodes(asked, thing)
        return super()._thing(asked, thing)

    def _delete(self, asked: Asked) -> Answer:
        """With a last snapshot where its name is given."""
        name, group = asked.request.get("FinalSnapshotIdentifier"), self._existing(asked)
        if name is not None:
            there = asked.store.things(_SERVICE, _SNAPSHOTS, asked.region)
            if name in there:
                raise RecordedError("SnapshotAlreadyExistsFault", f"snapshot {name} exists already")
            there[name] = {member: group[member] for member in _OF_A_GROUP if member in group} | {
                "SnapshotName": name,
                "ReplicationGroupDescription": group["Description"],
                "SnapshotStatus": "available",
                "SnapshotSource": "manual",
                "ARN": group["ARN"].replace(
                    f":replicationgroup:{group['ReplicationGroupId']}", f":snapshot:{name}"
                ),
            }
        return super()._delete(asked)

    def _nodes(self, asked: Asked, thing: Thing) -> Thing:
        name, port = thing["ReplicationGroupId"], thing.get("Port", 6379)
        domain = f"{name}.local.{asked.region}.cache.amazonaws.com"
        groups = asked.store.things(_SERVICE, _SUBNETS, asked.region)
        subnets = groups.get(thing.get("CacheSubnetGroupName", ""), {}).get("Subnets", [])
        zones = sorted({subnet["SubnetAvailabilityZone"]["Name"] for subnet in subnets})
        zones = zones or [f"{asked.region}a"]
        node_groups: list[Thing] = []
        for shard in range(thing.get("NumNodeGroups", 1)):
            prefix = f"{name}-{shard + 1:04}" if thing["ClusterEnabled"] else name
            node_groups.append(
                {
                    "NodeGroupId": f"{shard + 1:04}",
                    "Status": "available",
                    "NodeGroupMembers": [
                        {
                            "CacheClusterId": f"{prefix}-{node + 1:03}",
                            "CacheNodeId": "0001",
                            "PreferredAvailabilityZone": zones[(shard + node) % len(zones)],
                        }
                        for node in range(thing["ReplicasPerNodeGroup"] + 1)
                    ],
                }
            )
        shown: Thing = {
            "NodeGroups": node_groups,
            "MemberClusters": [
                node["CacheClusterId"]
                for group in node_groups
                for node in group["NodeGroupMembers"]
            ],
        }
        if thing["ClusterEnabled"]:
            return shown | {
                "ConfigurationEndpoint": {"Address": f"clustercfg.{domain}", "Port": port}
            }
        node_groups[0] |= {
            "PrimaryEndpoint": {"Address": f"master.{domain}", "Port": port},
            "ReaderEndpoint": {"Address": f"replica.{domain}", "Port": port},
        }
        return shown


def _cache_clusters(asked: Asked) -> Answer:
    """Every node of every replication group, as the group is."""
    wanted = asked.request.get("CacheClusterId")
    groups = asked.store.things(_SERVICE, _GROUPS, asked.region)
    found: list[Thing] = []
    for group in groups.values():
        like = {
            member: group[member]
            for member in asked.output.members["CacheClusters"].member.members
            if member in group and member not in ("ARN", "ConfigurationEndpoint")
        }
        security = [
            {"SecurityGroupId": id, "Status": "active"} for id in group.get("SecurityGroupIds", [])
        ]
        parameters = {"CacheParameterGroupName": group.get("CacheParameterGroupName", "default")}
        for node_group in group["NodeGroups"]:
            for node in node_group["NodeGroupMembers"]:
                arn = group["ARN"].replace(":replicationgroup:", ":cluster:")
                found.append(
                    like
                    | node
                    | {
                        "ARN": f"{arn.rpartition(':')[0]}:{node['CacheClusterId']}",
                        "CacheClusterStatus": "available",
                        "NumCacheNodes": 1,
                        "SecurityGroups": security,
                        "CacheParameterGroup": parameters,
                        "CacheNodes": [
                            {
                                "CacheNodeId": "0001",
                                "CacheNodeStatus": "available",
                                "Endpoint": {
                                    "Address": f"{node['CacheClusterId']}.local",
                                    "Port": group.get("Port", 6379),
                                },
                            }
                        ],
                    }
                )
    found = [node for node in found if wanted in (None, node["CacheClusterId"])]
    if wanted is not None and not found:
        raise RecordedError("CacheClusterNotFound", f"{wanted} does not exist")
    return {"CacheClusters": found}


_ARN: Final = "arn:aws:elasticache:{region}:{account}"

RECORDED: Final = (
    _SubnetGroups(
        service=_SERVICE,
        kind=_SUBNETS,
        key="CacheSubnetGroupName",
        create="CreateCacheSubnetGroup",
        update="ModifyCacheSubnetGroup",
        delete="DeleteCacheSubnetGroup",
        list="DescribeCacheSubnetGroups",
        taken="CacheSubnetGroupAlreadyExists",
        missing="CacheSubnetGroupNotFoundFault",
        made={"ARN": _ARN + ":subnetgroup:{CacheSubnetGroupName}"},
        tagging=_TAGGING,
    ),
    _Parameters(
        service=_SERVICE,
        kind=_PARAMETERS,
        key="CacheParameterGroupName",
        create="CreateCacheParameterGroup",
        delete="DeleteCacheParameterGroup",
        list="DescribeCacheParameterGroups",
        taken="CacheParameterGroupAlreadyExists",
        missing="CacheParameterGroupNotFound",
        made={"ARN": _ARN + ":parametergroup:{CacheParameterGroupName}", "IsGlobal": False},
        tagging=_TAGGING,
    ),
    _Users(
        service=_SERVICE,
        kind=_USERS,
        key="UserId",
        create="CreateUser",
        update="ModifyUser",
        delete="DeleteUser",
        list="DescribeUsers",
        taken="UserAlreadyExists",
        missing="UserNotFound",
        made={"ARN": _ARN + ":user:{UserId}", "Status": "active"},
        tagging=_TAGGING,
    ),
    _UserGroups(
        service=_SERVICE,
        kind=_USER_GROUPS,
        key="UserGroupId",
        create="CreateUserGroup",
        update="ModifyUserGroup",
        delete="DeleteUserGroup",
        list="DescribeUserGroups",
        taken="UserGroupAlreadyExists",
        missing="UserGroupNotFound",
        made={"ARN": _ARN + ":usergroup:{UserGroupId}", "Status": "active"},
        tagging=_TAGGING,
    ),
    _ReplicationGroups(
        service=_SERVICE,
        kind=_GROUPS,
        key="ReplicationGroupId",
        create="CreateReplicationGroup",
        update="ModifyReplicationGroup IncreaseReplicaCount DecreaseReplicaCount",
        delete="DeleteReplicationGroup",
        list="DescribeReplicationGroups",
        taken="ReplicationGroupAlreadyExists",
        missing="ReplicationGroupNotFoundFault",
        made={
            "ARN": _ARN + ":replicationgroup:{ReplicationGroupId}",
            "Status": "available",
            "ReplicationGroupCreateTime": NOW,
        },
        tagging=_TAGGING,
    ),
    # Each is the last of a group: nothing else takes one.
    _Named(
        service=_SERVICE,
        kind=_SNAPSHOTS,
        key="SnapshotName",
        create="",
        delete="DeleteSnapshot",
        list="DescribeSnapshots",
        missing="SnapshotNotFoundFault",
    ),
)
AMENDED: Final = (Amended(_SERVICE, "DescribeCacheClusters", _cache_clusters),)
