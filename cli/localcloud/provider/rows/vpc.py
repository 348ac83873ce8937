"""What guards a VPC: flow logs, its default security group and network ACL, public access."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Live, Read, Row, Step
from cli.localcloud.provider.rows.ec2 import tags_of
from cli.localcloud.provider.values import Properties

# ---- Flow logs -------------------------------------------------------------------------------

_FLOW_LOG: Final = {
    "trafficType": "TrafficType",
    "logDestination": "LogDestination",
    "logDestinationType": "LogDestinationType",
    "logFormat": "LogFormat",
    "maxAggregationInterval": "MaxAggregationInterval",
    "iamRoleArn": "DeliverLogsPermissionArn",
}


def _new_flow_log(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    given = {member: state[prop] for prop, member in _FLOW_LOG.items() if prop in state}
    return [given | {"ResourceIds": [state["vpcId"]], "ResourceType": "VPC"}]


FLOW_LOG: Final = Row(
    type="aws:ec2/flowLog:FlowLog",
    service="ec2",
    create=Step("create_flow_logs", f"vpcId {' '.join(_FLOW_LOG)}", build=_new_flow_log),
    id="FlowLogIds[0]",
    read=Read("describe_flow_logs", "FlowLogs[0]", {"FlowLogIds": "id"}),
    key={"FlowLogIds": "id"},
    delete="delete_flow_logs",
    names={"iamRoleArn": "DeliverLogsPermissionArn"},
    reads={"vpcId": "ResourceId"},
    replace=f"vpcId {' '.join(_FLOW_LOG)}",
    defaults={"logDestinationType": "cloud-watch-logs", "maxAggregationInterval": 600},
    computed="logFormat",
    tags=tags_of("vpc-flow-log"),
    arn="ec2:vpc-flow-log/{id}",
)

# ---- What every VPC has: taken over, never created nor deleted -------------------------------


def _leave_it(_: Cloud, __: Properties, ___: frozenset[str]) -> None:
    """It goes with its VPC."""


def _default_group(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    filters = [("vpc-id", state["vpcId"]), ("group-name", "default")]
    return [{"Filters": [{"Name": name, "Values": [value]} for name, value in filters]}]


def _close(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    group = _look_at_group(cloud, state["id"])
    for direction, member in (("ingress", "IpPermissions"), ("egress", "IpPermissionsEgress")):
        if group[member]:
            cloud.call(
                "ec2",
                f"revoke_security_group_{direction}",
                GroupId=state["id"],
                IpPermissions=[
                    {key: value for key, value in permission.items() if value != []}
                    for permission in group[member]
                ],
            )


def _look_at_group(cloud: Cloud, id: str) -> Live:
    return cloud.call("ec2", "describe_security_groups", GroupIds=[id])["SecurityGroups"][0]


def _rules(permissions: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [
        {
            "protocol": permission["IpProtocol"],
            "fromPort": permission.get("FromPort", 0),
            "toPort": permission.get("ToPort", 0),
            "cidrBlocks": [entry["CidrIp"] for entry in permission.get("IpRanges", [])],
        }
        for permission in permissions
    ]


def _only_closed(inputs: Properties) -> list[tuple[str, str]]:
    return [
        (prop, "the local cloud's provider only closes a default security group: extend its row")
        for prop in ("ingress", "egress")
        if inputs.get(prop)
    ]


DEFAULT_SECURITY_GROUP: Final = Row(
    type="aws:ec2/defaultSecurityGroup:DefaultSecurityGroup",
    service="ec2",
    create=Step("describe_security_groups", "vpcId", build=_default_group),
    id="SecurityGroups[0].GroupId",
    read=Read("describe_security_groups", "SecurityGroups[0]", {"GroupIds": "id"}),
    key={"GroupIds": "id"},
    update=(Step(props="ingress egress", run=_close),),
    delete=Step(run=_leave_it),
    names={"name": "GroupName"},
    reads={
        "ingress": lambda group: _rules(group["IpPermissions"]),
        "egress": lambda group: _rules(group["IpPermissionsEgress"]),
    },
    replace="vpcId",
    ignored="revokeRulesOnDelete",
    tags=tags_of("security-group", created=False),
    arn="ec2:security-group/{id}",
    created=lambda cloud, state: _close(cloud, state, frozenset()),
    check=_only_closed,
)

# AWS shows numbers. IANA, "Protocol Numbers".
_PROTOCOLS: Final = {"-1": "-1", "1": "icmp", "6": "tcp", "17": "udp"}
_NUMBERS: Final = {name: number for number, name in _PROTOCOLS.items()}
# The rule that refuses what no other allows; nobody can change it.
_LAST_RULE: Final = 32767


def _entry(rule: dict[str, Any], *, egress: bool) -> dict[str, Any]:
    entry: dict[str, Any] = {
        "RuleNumber": rule["ruleNo"],
        "Protocol": _NUMBERS.get(rule["protocol"], rule["protocol"]),
        "RuleAction": rule["action"],
        "CidrBlock": rule["cidrBlock"],
        "Egress": egress,
    }
    if entry["Protocol"] in ("6", "17"):
        entry["PortRange"] = {"From": rule["fromPort"], "To": rule["toPort"]}
    if entry["Protocol"] == "1":
        entry["IcmpTypeCode"] = {
            "Type": rule.get("icmpType", -1),
            "Code": rule.get("icmpCode", -1),
        }
    return entry


def _rule(entry: dict[str, Any]) -> dict[str, Any]:
    ports = entry.get("PortRange") or {}
    rule: dict[str, Any] = {
        "ruleNo": entry["RuleNumber"],
        "protocol": _PROTOCOLS.get(entry["Protocol"], entry["Protocol"]),
        "action": entry["RuleAction"],
        "cidrBlock": entry.get("CidrBlock"),
        "fromPort": ports.get("From", 0),
        "toPort": ports.get("To", 0),
    }
    if rule["protocol"] == "icmp" and "IcmpTypeCode" in entry:
        rule |= {
            "icmpType": entry["IcmpTypeCode"].get("Type"),
            "icmpCode": entry["IcmpTypeCode"].get("Code"),
        }
    return rule


def _entries(acl: Live, *, egress: bool) -> list[dict[str, Any]]:
    return [
        entry
        for entry in acl["Entries"]
        if entry["Egress"] == egress and entry["RuleNumber"] != _LAST_RULE
    ]


def _set_entries(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    """Make the entries those that are wanted; one that stays is not touched."""
    acl = cloud.call("ec2", "describe_network_acls", NetworkAclIds=[state["id"]])["NetworkAcls"][0]
    for prop, egress in (("ingress", False), ("egress", True)):
        wanted = {rule["ruleNo"]: _entry(rule, egress=egress) for rule in state.get(prop) or []}
        for entry in _entries(acl, egress=egress):
            number = entry["RuleNumber"]
            if number in wanted and _entry(_rule(entry), egress=egress) == wanted[number]:
                del wanted[number]
            else:
                cloud.call(
                    "ec2",
                    "delete_network_acl_entry",
                    NetworkAclId=state["id"],
                    RuleNumber=number,
                    Egress=egress,
                )
        for entry in wanted.values():
            cloud.call("ec2", "create_network_acl_entry", NetworkAclId=state["id"], **entry)


DEFAULT_NETWORK_ACL: Final = Row(
    type="aws:ec2/defaultNetworkAcl:DefaultNetworkAcl",
    service="ec2",
    create=Step(
        "describe_network_acls",
        "defaultNetworkAclId",
        build=lambda _, state, __: [{"NetworkAclIds": [state["defaultNetworkAclId"]]}],
    ),
    id="NetworkAcls[0].NetworkAclId",
    read=Read("describe_network_acls", "NetworkAcls[0]", {"NetworkAclIds": "id"}),
    key={"NetworkAclIds": "id"},
    update=(Step(props="ingress egress", run=_set_entries),),
    delete=Step(run=_leave_it),
    reads={
        "defaultNetworkAclId": "NetworkAclId",
        "ingress": lambda acl: [_rule(e) for e in _entries(acl, egress=False)],
        "egress": lambda acl: [_rule(e) for e in _entries(acl, egress=True)],
        # All subnets of the VPC that have no other; nobody manages that.
        "subnetIds": lambda _: None,
    },
    replace="defaultNetworkAclId",
    tags=tags_of("network-acl", created=False),
    arn="ec2:network-acl/{id}",
)

# ---- Block Public Access ---------------------------------------------------------------------

PUBLIC_ACCESS_OPTIONS: Final = Row(
    type="aws:ec2/vpcBlockPublicAccessOptions:VpcBlockPublicAccessOptions",
    service="ec2",
    create="modify_vpc_block_public_access_options",
    id="VpcBlockPublicAccessOptions.AwsRegion",
    read=Read("describe_vpc_block_public_access_options", "VpcBlockPublicAccessOptions", key={}),
    key={},
    update=(Step("modify_vpc_block_public_access_options", "internetGatewayBlockMode"),),
    delete=Step(
        "modify_vpc_block_public_access_options", fixed={"InternetGatewayBlockMode": "off"}
    ),
)

PUBLIC_ACCESS_EXCLUSION: Final = Row(
    type="aws:ec2/vpcBlockPublicAccessExclusion:VpcBlockPublicAccessExclusion",
    service="ec2",
    create="create_vpc_block_public_access_exclusion",
    id="VpcBlockPublicAccessExclusion.ExclusionId",
    read=Read(
        "describe_vpc_block_public_access_exclusions",
        "VpcBlockPublicAccessExclusions[0]",
        {"ExclusionIds": "id"},
    ),
    key={"ExclusionId": "id"},
    update=(Step("modify_vpc_block_public_access_exclusion", "internetGatewayExclusionMode"),),
    delete="delete_vpc_block_public_access_exclusion",
    reads={"vpcId": lambda exclusion: exclusion["ResourceArn"].rpartition("/")[2]},
    replace="vpcId subnetId",
)

ROWS: Final = (
    FLOW_LOG,
    DEFAULT_SECURITY_GROUP,
    DEFAULT_NETWORK_ACL,
    PUBLIC_ACCESS_OPTIONS,
    PUBLIC_ACCESS_EXCLUSION,
)
