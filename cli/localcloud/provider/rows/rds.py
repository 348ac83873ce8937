"""Relational databases: Aurora clusters, their instances, subnet and parameter groups."""

from __future__ import annotations

from dataclasses import dataclass
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


def _modify_subnet_group(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    request = {
        "DBSubnetGroupName": state["id"],
        "DBSubnetGroupDescription": state["description"],
        "SubnetIds": state["subnetIds"],
    }
    tags = cloud.call("rds", "list_tags_for_resource", ResourceName=state["arn"])["TagList"]
    cloud.call("rds", "modify_db_subnet_group", **request)
    # moto 5.2.5 loses the group that it modifies.
    groups = cloud.call("rds", "describe_db_subnet_groups")["DBSubnetGroups"]
    if all(group["DBSubnetGroupName"] != state["id"] for group in groups):
        cloud.call("rds", "create_db_subnet_group", **request, Tags=tags)


SUBNET_GROUP: Final = Row(
    type="aws:rds/subnetGroup:SubnetGroup",
    service="rds",
    create="create_db_subnet_group",
    id="={name}",
    read=Read("describe_db_subnet_groups", "DBSubnetGroups[0]", {"DBSubnetGroupName": "id"}),
    key={"DBSubnetGroupName": "id"},
    update=(Step(props="description subnetIds", run=_modify_subnet_group),),
    delete="delete_db_subnet_group",
    names={
        "name": "DBSubnetGroupName",
        "description": "DBSubnetGroupDescription",
        "arn": "DBSubnetGroupArn",
    },
    replace="name namePrefix",
    defaults={"description": "Managed by Pulumi"},
    reads={"subnetIds": "Subnets[].SubnetIdentifier"},
    autoname=Autoname(max_length=255, lower=True),
    tags=_TAGS,
)

# ---- Parameter groups ------------------------------------------------------------------------


@dataclass(frozen=True)
class _Parameters:
    """The calls about parameters, which differ in a word between clusters and instances."""

    member: str
    describe: str
    modify: str
    reset: str

    def set(self, cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
        name = {self.member: state["id"]}
        wanted = {p["name"]: p for p in state.get("parameters", [])}
        gone = [p["ParameterName"] for p in self._given(cloud, state["id"])]
        gone = [parameter for parameter in gone if parameter not in wanted]
        if gone:
            reset = [{"ParameterName": p, "ApplyMethod": "pending-reboot"} for p in gone]
            cloud.call("rds", self.reset, **name, Parameters=reset)
        parameters = [
            {
                "ParameterName": p["name"],
                "ParameterValue": p["value"],
                "ApplyMethod": p.get("applyMethod", "immediate"),
            }
            for p in wanted.values()
        ]
        # AWS takes 20 parameters a call.
        for start in range(0, len(parameters), 20):
            cloud.call("rds", self.modify, **name, Parameters=parameters[start : start + 20])

    def _given(self, cloud: Cloud, name: str) -> list[dict[str, Any]]:
        answer = cloud.call("rds", self.describe, **{self.member: name}, Source="user")
        return answer["Parameters"]

    def read(self, cloud: Cloud, state: Properties) -> Properties:
        return {
            "parameters": [
                {
                    "name": p["ParameterName"],
                    "value": p["ParameterValue"],
                    "applyMethod": p.get("ApplyMethod", "immediate"),
                }
                for p in self._given(cloud, state["id"])
                if "ParameterValue" in p
            ]
        }


_OF_CLUSTERS: Final = _Parameters(
    "DBClusterParameterGroupName",
    "describe_db_cluster_parameters",
    "modify_db_cluster_parameter_group",
    "reset_db_cluster_parameter_group",
)
_OF_INSTANCES: Final = _Parameters(
    "DBParameterGroupName",
    "describe_db_parameters",
    "modify_db_parameter_group",
    "reset_db_parameter_group",
)

CLUSTER_PARAMETER_GROUP: Final = Row(
    type="aws:rds/clusterParameterGroup:ClusterParameterGroup",
    service="rds",
    create="create_db_cluster_parameter_group",
    id="={name}",
    read=Read(
        "describe_db_cluster_parameter_groups",
        "DBClusterParameterGroups[0]",
        {"DBClusterParameterGroupName": "id"},
    ),
    key={"DBClusterParameterGroupName": "id"},
    update=(Step(props="parameters", run=_OF_CLUSTERS.set),),
    delete="delete_db_cluster_parameter_group",
    names={
        "name": "DBClusterParameterGroupName",
        "family": "DBParameterGroupFamily",
        "arn": "DBClusterParameterGroupArn",
    },
    replace="name namePrefix family description",
    defaults={"description": "Managed by Pulumi"},
    more=_OF_CLUSTERS.read,
    autoname=Autoname(max_length=255, lower=True),
    tags=_TAGS,
)

PARAMETER_GROUP: Final = Row(
    type="aws:rds/parameterGroup:ParameterGroup",
    service="rds",
    create="create_db_parameter_group",
    id="={name}",
    read=Read(
        "describe_db_parameter_groups", "DBParameterGroups[0]", {"DBParameterGroupName": "id"}
    ),
    key={"DBParameterGroupName": "id"},
    update=(Step(props="parameters", run=_OF_INSTANCES.set),),
    delete="delete_db_parameter_group",
    names={
        "name": "DBParameterGroupName",
        "family": "DBParameterGroupFamily",
        "arn": "DBParameterGroupArn",
    },
    replace="name namePrefix family description",
    defaults={"description": "Managed by Pulumi", "skipDestroy": False},
    ignored="skipDestroy",
    more=_OF_INSTANCES.read,
    autoname=Autoname(max_length=255, lower=True),
    tags=_TAGS,
)

# ---- Clusters --------------------------------------------------------------------------------


def _log_exports(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    answer = cloud.call("rds", "describe_db_clusters", DBClusterIdentifier=state["id"])
    present = answer["DBClusters"][0].get("EnabledCloudwatchLogsExports", [])
    wanted = state.get("enabledCloudwatchLogsExports", [])
    return [
        {
            "ApplyImmediately": True,
            "CloudwatchLogsExportConfiguration": {
                "EnableLogTypes": [kind for kind in wanted if kind not in present],
                "DisableLogTypes": [kind for kind in present if kind not in wanted],
            },
        }
    ]


def _new_version(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    """With the parameter group of its instances, which pulumi-aws leaves out where AWS refuses it:
    of a minor version."""
    request: dict[str, Any] = {"ApplyImmediately": True, "EngineVersion": state["engineVersion"]}
    if state.get("allowMajorVersionUpgrade"):
        request["AllowMajorVersionUpgrade"] = True
    if state.get("dbInstanceParameterGroupName"):
        request["DBInstanceParameterGroupName"] = state["dbInstanceParameterGroupName"]
    return [request]


def _last_rites(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    if state.get("skipFinalSnapshot"):
        return [{"SkipFinalSnapshot": True}]
    snapshot = state.get("finalSnapshotIdentifier")
    return [
        {"SkipFinalSnapshot": False} | ({"FinalDBSnapshotIdentifier": snapshot} if snapshot else {})
    ]


_MODIFIED_CLUSTER: Final = (
    "backupRetentionPeriod dbClusterParameterGroupName vpcSecurityGroupIds port masterPassword "
    "preferredBackupWindow preferredMaintenanceWindow iamDatabaseAuthenticationEnabled "
    "backtrackWindow scalingConfiguration deletionProtection enableHttpEndpoint "
    "copyTagsToSnapshot networkType serverlessv2ScalingConfiguration storageType iops "
    "allocatedStorage manageMasterUserPassword masterUserSecretKmsKeyId monitoringInterval "
    "monitoringRoleArn performanceInsightsEnabled performanceInsightsKmsKeyId "
    "performanceInsightsRetentionPeriod databaseInsightsMode "
    "enableLocalWriteForwarding caCertificateIdentifier"
)

CLUSTER: Final = Row(
    type="aws:rds/cluster:Cluster",
    service="rds",
    create="create_db_cluster",
    id="={clusterIdentifier}",
    read=Read("describe_db_clusters", "DBClusters[0]", {"DBClusterIdentifier": "id"}),
    key={"DBClusterIdentifier": "id"},
    update=(
        Step("modify_db_cluster", "engineVersion", build=_new_version),
        Step("modify_db_cluster", _MODIFIED_CLUSTER, fixed={"ApplyImmediately": True}),
        Step("modify_db_cluster", "enabledCloudwatchLogsExports", build=_log_exports),
    ),
    delete=Step("delete_db_cluster", build=_last_rites),
    names={
        "clusterIdentifier": "DBClusterIdentifier",
        "masterPassword": "MasterUserPassword",
        "iamDatabaseAuthenticationEnabled": "EnableIAMDatabaseAuthentication",
        "enabledCloudwatchLogsExports": "EnableCloudwatchLogsExports",
        "performanceInsightsEnabled": "EnablePerformanceInsights",
        "arn": "DBClusterArn",
        "clusterResourceId": "DbClusterResourceId",
        "engineVersionActual": "EngineVersion",
    },
    replace="clusterIdentifier clusterIdentifierPrefix availabilityZones databaseName engine "
    "engineMode dbSubnetGroupName kmsKeyId masterUsername snapshotIdentifier sourceRegion "
    "storageEncrypted replicationSourceIdentifier",
    defaults={
        "backupRetentionPeriod": 1,
        "copyTagsToSnapshot": False,
        "deletionProtection": False,
        "engineMode": "provisioned",
        "skipFinalSnapshot": False,
        "deleteAutomatedBackups": True,
        "iamDatabaseAuthenticationEnabled": False,
    },
    computed="availabilityZones engineVersion dbClusterParameterGroupName dbSubnetGroupName "
    "kmsKeyId masterUsername databaseName port preferredBackupWindow preferredMaintenanceWindow "
    "storageEncrypted storageType vpcSecurityGroupIds networkType allocatedStorage iops "
    "monitoringInterval monitoringRoleArn performanceInsightsKmsKeyId masterUserSecretKmsKeyId "
    "performanceInsightsRetentionPeriod engineLifecycleSupport caCertificateIdentifier",
    ignored="applyImmediately skipFinalSnapshot finalSnapshotIdentifier deleteAutomatedBackups "
    "allowMajorVersionUpgrade dbInstanceParameterGroupName",
    sensitive="masterPassword",
    cleared={"manageMasterUserPassword": False},
    reads={
        "iamDatabaseAuthenticationEnabled": "IAMDatabaseAuthenticationEnabled",
        "enabledCloudwatchLogsExports": "EnabledCloudwatchLogsExports",
        "performanceInsightsEnabled": "PerformanceInsightsEnabled",
        "performanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
        "vpcSecurityGroupIds": "VpcSecurityGroups[].VpcSecurityGroupId",
        "dbSubnetGroupName": "DBSubnetGroup",
        "dbClusterParameterGroupName": "DBClusterParameterGroup",
        "clusterMembers": "DBClusterMembers[].DBInstanceIdentifier",
        "masterUserSecrets": lambda c: [c["MasterUserSecret"]] if "MasterUserSecret" in c else [],
        "iamRoles": "AssociatedRoles[].RoleArn",
    },
    autoname=Autoname(prop="clusterIdentifier", max_length=63, lower=True),
    tags=_TAGS,
)


def _is_writer(cloud: Cloud, state: Properties) -> Properties:
    answer = cloud.call(
        "rds", "describe_db_clusters", DBClusterIdentifier=state["clusterIdentifier"]
    )
    members = answer["DBClusters"][0].get("DBClusterMembers", [])
    writers = [m["DBInstanceIdentifier"] for m in members if m.get("IsClusterWriter")]
    return {"writer": state["id"] in writers}


def _endpoint(prop: str) -> Any:
    def read(instance: Live) -> Any:
        return (instance.get("Endpoint") or {}).get(prop)

    return read


CLUSTER_INSTANCE: Final = Row(
    type="aws:rds/clusterInstance:ClusterInstance",
    service="rds",
    create="create_db_instance",
    id="={identifier}",
    read=Read("describe_db_instances", "DBInstances[0]", {"DBInstanceIdentifier": "id"}),
    key={"DBInstanceIdentifier": "id"},
    update=(
        Step(
            "modify_db_instance",
            "instanceClass autoMinorVersionUpgrade caCertIdentifier copyTagsToSnapshot "
            "dbParameterGroupName monitoringInterval monitoringRoleArn performanceInsightsEnabled "
            "performanceInsightsKmsKeyId performanceInsightsRetentionPeriod preferredBackupWindow "
            "preferredMaintenanceWindow promotionTier publiclyAccessible",
            fixed={"ApplyImmediately": True},
        ),
    ),
    delete=Step("delete_db_instance", fixed={"SkipFinalSnapshot": True}),
    names={
        "identifier": "DBInstanceIdentifier",
        "clusterIdentifier": "DBClusterIdentifier",
        "instanceClass": "DBInstanceClass",
        "performanceInsightsEnabled": "EnablePerformanceInsights",
        "caCertIdentifier": "CACertificateIdentifier",
        "arn": "DBInstanceArn",
        "engineVersionActual": "EngineVersion",
        "dbiResourceId": "DbiResourceId",
    },
    replace="identifier identifierPrefix clusterIdentifier engine availabilityZone "
    "dbSubnetGroupName customIamInstanceProfile",
    defaults={
        "autoMinorVersionUpgrade": True,
        "copyTagsToSnapshot": False,
        "monitoringInterval": 0,
        "promotionTier": 0,
        "forceDestroy": False,
    },
    computed="availabilityZone caCertIdentifier dbParameterGroupName dbSubnetGroupName "
    "engineVersion monitoringRoleArn performanceInsightsEnabled performanceInsightsKmsKeyId "
    "performanceInsightsRetentionPeriod preferredBackupWindow preferredMaintenanceWindow "
    "publiclyAccessible",
    # The cluster's version is the instances'.
    ignored="applyImmediately forceDestroy",
    reads={
        "endpoint": _endpoint("Address"),
        "port": _endpoint("Port"),
        "performanceInsightsEnabled": "PerformanceInsightsEnabled",
        "performanceInsightsKmsKeyId": "PerformanceInsightsKMSKeyId",
        "dbSubnetGroupName": "DBSubnetGroup.DBSubnetGroupName",
        "dbParameterGroupName": "DBParameterGroups[0].DBParameterGroupName",
    },
    more=_is_writer,
    autoname=Autoname(prop="identifier", max_length=63, lower=True),
    tags=_TAGS,
)

# ---- Proxies ---------------------------------------------------------------------------------

PROXY: Final = Row(
    type="aws:rds/proxy:Proxy",
    service="rds",
    create="create_db_proxy",
    id="={name}",
    read=Read("describe_db_proxies", "DBProxies[0]", {"DBProxyName": "id"}),
    key={"DBProxyName": "id"},
    update=(
        Step(
            "modify_db_proxy",
            "auths debugLogging idleClientTimeout requireTls roleArn vpcSecurityGroupIds",
        ),
    ),
    delete="delete_db_proxy",
    names={"name": "DBProxyName", "arn": "DBProxyArn", "vpcSecurityGroupIds": "SecurityGroups"},
    replace="name engineFamily vpcSubnetIds",
    reads={"vpcSecurityGroupIds": "VpcSecurityGroupIds"},
    defaults={"debugLogging": False, "requireTls": False, "idleClientTimeout": 1800},
    autoname=Autoname(max_length=63),
    tags=_TAGS,
)


def _of_proxy(cloud: Cloud, operation: str, proxy: str) -> dict[str, Any]:
    """What belongs to a proxy. moto fails where the proxy is gone, so that is asked first."""
    cloud.call("rds", "describe_db_proxies", DBProxyName=proxy)
    return cloud.call("rds", operation, DBProxyName=proxy)


def _pool(cloud: Cloud, state: Properties) -> Live | None:
    groups = _of_proxy(cloud, "describe_db_proxy_target_groups", state["id"])["TargetGroups"]
    return next((group for group in groups if group["TargetGroupName"] == "default"), None)


# It comes and goes with its proxy; pulumi-aws only says what it is like.
PROXY_DEFAULT_TARGET_GROUP: Final = Row(
    type="aws:rds/proxyDefaultTargetGroup:ProxyDefaultTargetGroup",
    service="rds",
    create=Step(
        "modify_db_proxy_target_group",
        "dbProxyName connectionPoolConfig",
        fixed={"TargetGroupName": "default"},
    ),
    id="={dbProxyName}",
    read=_pool,
    key={"DBProxyName": "id"},
    update=(
        Step(
            "modify_db_proxy_target_group",
            "connectionPoolConfig",
            fixed={"TargetGroupName": "default"},
        ),
    ),
    delete=(),
    names={"name": "TargetGroupName", "arn": "TargetGroupArn"},
    replace="dbProxyName",
    computed="connectionPoolConfig",
)


def _registered(cloud: Cloud, state: Properties) -> Live | None:
    targets = _of_proxy(cloud, "describe_db_proxy_targets", state["dbProxyName"])["Targets"]
    wanted = state["dbClusterIdentifier"]
    return next((target for target in targets if target["RdsResourceId"] == wanted), None)


PROXY_TARGET: Final = Row(
    type="aws:rds/proxyTarget:ProxyTarget",
    service="rds",
    create=Step("register_db_proxy_targets", "dbProxyName targetGroupName dbClusterIdentifier"),
    id="={dbProxyName}/{targetGroupName}/TRACKED_CLUSTER/{dbClusterIdentifier}",
    read=_registered,
    key={
        "DBProxyName": "dbProxyName",
        "TargetGroupName": "targetGroupName",
        "DBClusterIdentifiers": "dbClusterIdentifier",
    },
    delete="deregister_db_proxy_targets",
    replace="dbProxyName targetGroupName dbClusterIdentifier",
    import_id="dbProxyName/targetGroupName/type/dbClusterIdentifier",
)

# ---- Events ----------------------------------------------------------------------------------

EVENT_SUBSCRIPTION: Final = Row(
    type="aws:rds/eventSubscription:EventSubscription",
    service="rds",
    create="create_event_subscription",
    id="={name}",
    read=Read(
        "describe_event_subscriptions", "EventSubscriptionsList[0]", {"SubscriptionName": "id"}
    ),
    key={"SubscriptionName": "id"},
    update=(Step("modify_event_subscription", "enabled eventCategories snsTopic sourceType"),),
    delete="delete_event_subscription",
    names={
        "name": "SubscriptionName",
        "snsTopic": "SnsTopicArn",
        "arn": "EventSubscriptionArn",
    },
    reads={
        "name": "CustSubscriptionId",
        "eventCategories": "EventCategoriesList",
        "sourceIds": "SourceIdsList",
        "customerAwsId": "CustomerAwsId",
    },
    replace="name namePrefix sourceIds",
    defaults={"enabled": True},
    autoname=Autoname(max_length=255),
    arn="rds:es:{name}",
    tags=_TAGS,
)

ROWS: Final = (
    SUBNET_GROUP,
    CLUSTER_PARAMETER_GROUP,
    PARAMETER_GROUP,
    CLUSTER,
    CLUSTER_INSTANCE,
    PROXY,
    PROXY_DEFAULT_TARGET_GROUP,
    PROXY_TARGET,
    EVENT_SUBSCRIPTION,
)
