"""ElastiCache: replication groups, their subnets, parameters and users."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Live, Read, Row, Step, Tagging
from cli.localcloud.provider.values import Properties

_TAGS: Final = Tagging(
    add="add_tags_to_resource",
    remove="remove_tags_from_resource",
    key="ResourceName",
    read=Read("list_tags_for_resource", "TagList", {"ResourceName": "arn"}),
)

SUBNET_GROUP: Final = Row(
    type="aws:elasticache/subnetGroup:SubnetGroup",
    service="elasticache",
    create="create_cache_subnet_group",
    id="={name}",
    read=Read(
        "describe_cache_subnet_groups", "CacheSubnetGroups[0]", {"CacheSubnetGroupName": "id"}
    ),
    key={"CacheSubnetGroupName": "id"},
    # AWS wants all of it again.
    update=(Step("modify_cache_subnet_group", "description subnetIds", whole=True),),
    delete="delete_cache_subnet_group",
    names={"name": "CacheSubnetGroupName", "description": "CacheSubnetGroupDescription"},
    replace="name",
    defaults={"description": "Managed by Pulumi"},
    reads={"subnetIds": "Subnets[].SubnetIdentifier"},
    autoname=Autoname(max_length=255, lower=True),
    tags=_TAGS,
)


def _set_parameters(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    name = {"CacheParameterGroupName": state["id"]}
    wanted = {p["name"]: p["value"] for p in state.get("parameters", [])}
    live = _parameters(cloud, state)["parameters"]
    gone = [p for p in live if p["name"] not in wanted]
    if gone:
        cloud.call(
            "elasticache",
            "reset_cache_parameter_group",
            **name,
            ParameterNameValues=[
                {"ParameterName": p["name"], "ParameterValue": p["value"]} for p in gone
            ],
        )
    if wanted:
        cloud.call(
            "elasticache",
            "modify_cache_parameter_group",
            **name,
            ParameterNameValues=[
                {"ParameterName": name, "ParameterValue": value} for name, value in wanted.items()
            ],
        )


def _parameters(cloud: Cloud, state: Properties) -> Properties:
    answer = cloud.call(
        "elasticache",
        "describe_cache_parameters",
        CacheParameterGroupName=state["id"],
        Source="user",
    )
    return {
        "parameters": [
            {"name": p["ParameterName"], "value": p["ParameterValue"]} for p in answer["Parameters"]
        ]
    }


PARAMETER_GROUP: Final = Row(
    type="aws:elasticache/parameterGroup:ParameterGroup",
    service="elasticache",
    create="create_cache_parameter_group",
    id="={name}",
    read=Read(
        "describe_cache_parameter_groups",
        "CacheParameterGroups[0]",
        {"CacheParameterGroupName": "id"},
    ),
    key={"CacheParameterGroupName": "id"},
    update=(Step(props="parameters", run=_set_parameters),),
    delete="delete_cache_parameter_group",
    names={"name": "CacheParameterGroupName", "family": "CacheParameterGroupFamily"},
    replace="name family description",
    defaults={"description": "Managed by Pulumi"},
    more=_parameters,
    autoname=Autoname(max_length=255, lower=True),
    tags=_TAGS,
)

USER: Final = Row(
    type="aws:elasticache/user:User",
    service="elasticache",
    create="create_user",
    id="={userId}",
    read=Read("describe_users", "Users[0]", {"UserId": "id"}),
    key={"UserId": "id"},
    update=(
        Step("modify_user", "accessString passwords noPasswordRequired authenticationMode engine"),
    ),
    delete="delete_user",
    replace="userId userName",
    delete_first=True,
    defaults={"noPasswordRequired": False},
    # AWS says how many passwords there are, never which.
    reads={"passwords": "not_shown", "authenticationMode": "not_shown"},
    sensitive="passwords",
    tags=_TAGS,
)


def _changed_members(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    found = cloud.call("elasticache", "describe_user_groups", UserGroupId=state["id"])
    present, wanted = found["UserGroups"][0].get("UserIds", []), state["userIds"]
    added = [user for user in wanted if user not in present]
    removed = [user for user in present if user not in wanted]
    return [
        ({"UserIdsToAdd": added} if added else {})
        | ({"UserIdsToRemove": removed} if removed else {})
    ]


USER_GROUP: Final = Row(
    type="aws:elasticache/userGroup:UserGroup",
    service="elasticache",
    create="create_user_group",
    id="={userGroupId}",
    read=Read("describe_user_groups", "UserGroups[0]", {"UserGroupId": "id"}),
    key={"UserGroupId": "id"},
    update=(Step("modify_user_group", "userIds", build=_changed_members),),
    delete="delete_user_group",
    replace="userGroupId engine",
    delete_first=True,
    tags=_TAGS,
)


def _replicas(cloud: Cloud, state: Properties, changed: frozenset[str]) -> None:
    """One call for more, another for fewer."""
    found = cloud.call(
        "elasticache", "describe_replication_groups", ReplicationGroupId=state["id"]
    )["ReplicationGroups"][0]
    present = len(found["NodeGroups"][0]["NodeGroupMembers"]) - 1
    wanted = (
        state["replicasPerNodeGroup"]
        if "replicasPerNodeGroup" in changed
        else state["numCacheClusters"] - 1
    )
    if wanted != present:
        more = wanted > present
        cloud.call(
            "elasticache",
            "increase_replica_count" if more else "decrease_replica_count",
            ReplicationGroupId=state["id"],
            NewReplicaCount=wanted,
            ApplyImmediately=True,
        )


def _users(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    found = cloud.call(
        "elasticache", "describe_replication_groups", ReplicationGroupId=state["id"]
    )["ReplicationGroups"][0]
    present, wanted = found.get("UserGroupIds", []), state.get("userGroupIds") or []
    return [
        {
            "ApplyImmediately": True,
            "UserGroupIdsToAdd": [group for group in wanted if group not in present],
            "UserGroupIdsToRemove": [group for group in present if group not in wanted],
        }
    ]


def _first_node(cloud: Cloud, state: Properties) -> Properties:
    """What only the nodes show: version, parameters, subnets, security groups, port."""
    nodes = cloud.call(
        "elasticache", "describe_cache_clusters", CacheClusterId=state["memberClusters"][0]
    )["CacheClusters"]
    node = nodes[0]
    shown = {
        "engineVersion": node.get("EngineVersion"),
        "engineVersionActual": node.get("EngineVersion"),
        "parameterGroupName": node["CacheParameterGroup"]["CacheParameterGroupName"],
        "subnetGroupName": node.get("CacheSubnetGroupName"),
        "securityGroupIds": [group["SecurityGroupId"] for group in node["SecurityGroups"]],
        "port": node["CacheNodes"][0]["Endpoint"]["Port"],
        "maintenanceWindow": node.get("PreferredMaintenanceWindow"),
    }
    return {name: value for name, value in shown.items() if value is not None}


def _last_rites(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    snapshot = state.get("finalSnapshotIdentifier")
    return [{"FinalSnapshotIdentifier": snapshot} if snapshot else {}]


def _node_groups(group: Live) -> list[Live]:
    return group["NodeGroups"]


def _address(endpoint: str) -> Any:
    def read(group: Live) -> Any:
        return (_node_groups(group)[0].get(endpoint) or {}).get("Address")

    return read


_MODIFIED: Final = (
    "atRestEncryptionEnabled autoMinorVersionUpgrade automaticFailoverEnabled clusterMode "
    "description engine engineVersion ipDiscovery logDeliveryConfigurations maintenanceWindow "
    "multiAzEnabled nodeType notificationTopicArn parameterGroupName securityGroupIds "
    "snapshotRetentionLimit snapshotWindow transitEncryptionEnabled transitEncryptionMode"
)

REPLICATION_GROUP: Final = Row(
    type="aws:elasticache/replicationGroup:ReplicationGroup",
    service="elasticache",
    create="create_replication_group",
    id="={replicationGroupId}",
    read=Read("describe_replication_groups", "ReplicationGroups[0]", {"ReplicationGroupId": "id"}),
    key={"ReplicationGroupId": "id"},
    update=(
        Step("modify_replication_group", _MODIFIED, fixed={"ApplyImmediately": True}),
        Step(props="replicasPerNodeGroup numCacheClusters", run=_replicas),
        Step("modify_replication_group", "userGroupIds", build=_users),
    ),
    delete=Step("delete_replication_group", build=_last_rites),
    names={
        "description": "ReplicationGroupDescription",
        "nodeType": "CacheNodeType",
        "parameterGroupName": "CacheParameterGroupName",
        "subnetGroupName": "CacheSubnetGroupName",
        "maintenanceWindow": "PreferredMaintenanceWindow",
    },
    replace="replicationGroupId subnetGroupName port kmsKeyId numNodeGroups "
    "atRestEncryptionEnabled dataTieringEnabled networkType snapshotName",
    defaults={"autoMinorVersionUpgrade": True, "automaticFailoverEnabled": False},
    computed="engineVersion snapshotWindow maintenanceWindow parameterGroupName clusterMode "
    "numNodeGroups replicasPerNodeGroup numCacheClusters transitEncryptionMode port networkType "
    "ipDiscovery securityGroupIds subnetGroupName snapshotRetentionLimit engine",
    ignored="applyImmediately finalSnapshotIdentifier",
    reads={
        "description": "Description",
        "automaticFailoverEnabled": lambda group: group["AutomaticFailover"] == "enabled",
        "multiAzEnabled": lambda group: group["MultiAZ"] == "enabled",
        "numNodeGroups": lambda group: len(_node_groups(group)),
        "replicasPerNodeGroup": lambda g: len(_node_groups(g)[0]["NodeGroupMembers"]) - 1,
        "numCacheClusters": lambda group: len(group["MemberClusters"]),
        "configurationEndpointAddress": "ConfigurationEndpoint.Address",
        "primaryEndpointAddress": _address("PrimaryEndpoint"),
        "readerEndpointAddress": _address("ReaderEndpoint"),
    },
    more=_first_node,
    autoname=Autoname(prop="replicationGroupId", max_length=40, lower=True),
    tags=_TAGS,
)

ROWS: Final = (SUBNET_GROUP, PARAMETER_GROUP, USER, USER_GROUP, REPLICATION_GROUP)
