"""Network and compute: VPC, subnets, routes, addresses, security groups, launch templates."""

from __future__ import annotations

import zlib
from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Live, Read, Row, Step, Tagging
from cli.localcloud.provider.mapping import to_api
from cli.localcloud.provider.values import Properties


def tags_of(kind: str, *, created: bool = True) -> Tagging:
    """How EC2 tags; `created` says whether the creating call takes tags."""
    return Tagging(
        add="create_tags",
        remove="delete_tags",
        key="Resources",
        by="id",
        keys="",
        create=f"TagSpecifications:{kind}" if created else "",
    )


# ---- VPC -------------------------------------------------------------------------------------


def _more_of_vpc(cloud: Cloud, state: Properties) -> Properties:
    vpc = state["id"]
    attributes: Properties = {}
    for prop, name in {
        "enableDnsSupport": "EnableDnsSupport",
        "enableDnsHostnames": "EnableDnsHostnames",
    }.items():
        answer = cloud.call(
            "ec2", "describe_vpc_attribute", VpcId=vpc, Attribute=name[0].lower() + name[1:]
        )
        attributes[prop] = answer[name]["Value"]
    of_vpc = {"Name": "vpc-id", "Values": [vpc]}
    main = {"Name": "association.main", "Values": ["true"]}
    tables = cloud.call("ec2", "describe_route_tables", Filters=[of_vpc, main])["RouteTables"]
    named_default = {"Name": "group-name", "Values": ["default"]}
    groups = cloud.call("ec2", "describe_security_groups", Filters=[of_vpc, named_default])
    default = {"Name": "default", "Values": ["true"]}
    acls = cloud.call("ec2", "describe_network_acls", Filters=[of_vpc, default])["NetworkAcls"]
    table = tables[0]["RouteTableId"] if tables else None
    return attributes | {
        "mainRouteTableId": table,
        "defaultRouteTableId": table,
        "defaultSecurityGroupId": groups["SecurityGroups"][0]["GroupId"],
        "defaultNetworkAclId": acls[0]["NetworkAclId"] if acls else None,
    }


VPC: Final = Row(
    type="aws:ec2/vpc:Vpc",
    service="ec2",
    create="create_vpc",
    id="Vpc.VpcId",
    read=Read("describe_vpcs", "Vpcs[0]", {"VpcIds": "id"}),
    key={"VpcId": "id"},
    # AWS takes one attribute a call.
    update=(
        Step("modify_vpc_attribute", "enableDnsSupport"),
        Step("modify_vpc_attribute", "enableDnsHostnames"),
    ),
    delete="delete_vpc",
    replace="cidrBlock instanceTenancy",
    defaults={"enableDnsSupport": True, "instanceTenancy": "default"},
    computed="enableDnsHostnames cidrBlock",
    cleared={"enableDnsHostnames": False},
    tags=tags_of("vpc"),
    arn="ec2:vpc/{id}",
    more=_more_of_vpc,
)

_SUBNET_ATTRIBUTES: Final = (
    "mapPublicIpOnLaunch",
    "assignIpv6AddressOnCreation",
    "enableResourceNameDnsARecordOnLaunch",
    "privateDnsHostnameTypeOnLaunch",
)

SUBNET: Final = Row(
    type="aws:ec2/subnet:Subnet",
    service="ec2",
    create="create_subnet",
    id="Subnet.SubnetId",
    read=Read("describe_subnets", "Subnets[0]", {"SubnetIds": "id"}),
    key={"SubnetId": "id"},
    # AWS takes one attribute a call.
    update=tuple(Step("modify_subnet_attribute", prop) for prop in _SUBNET_ATTRIBUTES),
    delete="delete_subnet",
    replace="vpcId cidrBlock availabilityZone availabilityZoneId ipv6CidrBlock",
    defaults={"mapPublicIpOnLaunch": False, "assignIpv6AddressOnCreation": False},
    computed="availabilityZone availabilityZoneId privateDnsHostnameTypeOnLaunch",
    reads={"arn": "SubnetArn"},
    tags=tags_of("subnet"),
    arn="ec2:subnet/{id}",
)


def _attach_gateway(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    """Attach a gateway to its VPC, and to no other."""
    gateway = {"InternetGatewayId": state["id"]}
    found = cloud.call("ec2", "describe_internet_gateways", InternetGatewayIds=[state["id"]])
    attached = [entry["VpcId"] for entry in found["InternetGateways"][0]["Attachments"]]
    for vpc in attached:
        if vpc != state.get("vpcId"):
            cloud.call("ec2", "detach_internet_gateway", **gateway, VpcId=vpc)
    if state.get("vpcId") and state["vpcId"] not in attached:
        cloud.call("ec2", "attach_internet_gateway", **gateway, VpcId=state["vpcId"])


def _detach_gateway(cloud: Cloud, state: Properties, sent: frozenset[str]) -> None:
    _attach_gateway(cloud, {"id": state["id"]}, sent)


INTERNET_GATEWAY: Final = Row(
    type="aws:ec2/internetGateway:InternetGateway",
    service="ec2",
    create="create_internet_gateway",
    id="InternetGateway.InternetGatewayId",
    read=Read("describe_internet_gateways", "InternetGateways[0]", {"InternetGatewayIds": "id"}),
    key={"InternetGatewayId": "id"},
    update=(Step(props="vpcId", run=_attach_gateway),),
    delete=(Step(run=_detach_gateway), "delete_internet_gateway"),
    # Detached, behind our back or by a run that was killed half-way, is drift.
    reads={"vpcId": "Attachments[0].VpcId || ''"},
    tags=tags_of("internet-gateway"),
    arn="ec2:internet-gateway/{id}",
)

ROUTE_TABLE: Final = Row(
    type="aws:ec2/routeTable:RouteTable",
    service="ec2",
    create="create_route_table",
    id="RouteTable.RouteTableId",
    read=Read("describe_route_tables", "RouteTables[0]", {"RouteTableIds": "id"}),
    key={"RouteTableId": "id"},
    delete="delete_route_table",
    replace="vpcId",
    # Routes are resources of their own here: aws.ec2.Route.
    reads={"routes": lambda _: None},
    tags=tags_of("route-table"),
    arn="ec2:route-table/{id}",
)


def _destination(state: Properties) -> dict[str, str]:
    members = {
        "destinationCidrBlock": "DestinationCidrBlock",
        "destinationIpv6CidrBlock": "DestinationIpv6CidrBlock",
        "destinationPrefixListId": "DestinationPrefixListId",
    }
    return {member: state[prop] for prop, member in members.items() if state.get(prop)}


def _read_route(cloud: Cloud, state: Properties) -> Live | None:
    answer = cloud.call("ec2", "describe_route_tables", RouteTableIds=[state["routeTableId"]])
    wanted = _destination(state).items()
    for route in answer["RouteTables"][0]["Routes"]:
        if wanted <= route.items():
            return route | {"RouteTableId": state["routeTableId"]}
    return None


def _route_id(state: Properties) -> str:
    (destination,) = _destination(state).values()
    return f"r-{state['routeTableId']}{zlib.crc32(destination.encode())}"


ROUTE: Final = Row(
    type="aws:ec2/route:Route",
    service="ec2",
    create="create_route",
    id=_route_id,
    read=_read_route,
    key={"RouteTableId": "routeTableId"},
    update=(
        Step(
            "replace_route",
            "gatewayId natGatewayId vpcEndpointId transitGatewayId vpcPeeringConnectionId "
            "networkInterfaceId egressOnlyGatewayId",
            build=lambda _, state, __: [_destination(state) | _route_target(state)],
        ),
    ),
    delete=Step("delete_route", build=lambda _, state, __: [_destination(state)]),
    names={"egressOnlyGatewayId": "EgressOnlyInternetGatewayId"},
    replace="routeTableId destinationCidrBlock destinationIpv6CidrBlock destinationPrefixListId",
    delete_first=True,
    import_id="routeTableId_destinationCidrBlock",
)


def _route_target(state: Properties) -> dict[str, Any]:
    members = {
        "gatewayId": "GatewayId",
        "natGatewayId": "NatGatewayId",
        "vpcEndpointId": "VpcEndpointId",
        "transitGatewayId": "TransitGatewayId",
        "vpcPeeringConnectionId": "VpcPeeringConnectionId",
        "networkInterfaceId": "NetworkInterfaceId",
        "egressOnlyGatewayId": "EgressOnlyInternetGatewayId",
    }
    return {member: state[prop] for prop, member in members.items() if state.get(prop)}


def _read_association(cloud: Cloud, state: Properties) -> Live | None:
    by_id = {"Name": "association.route-table-association-id", "Values": [state["id"]]}
    tables = cloud.call("ec2", "describe_route_tables", Filters=[by_id])["RouteTables"]
    for table in tables:
        for association in table["Associations"]:
            if association["RouteTableAssociationId"] == state["id"]:
                return association
    return None


ROUTE_TABLE_ASSOCIATION: Final = Row(
    type="aws:ec2/routeTableAssociation:RouteTableAssociation",
    service="ec2",
    create="associate_route_table",
    id="AssociationId",
    read=_read_association,
    key={"AssociationId": "id"},
    delete="disassociate_route_table",
    replace="routeTableId subnetId gatewayId",
    # A subnet has one route table.
    delete_first=True,
)

EIP: Final = Row(
    type="aws:ec2/eip:Eip",
    service="ec2",
    create="allocate_address",
    id="AllocationId",
    read=Read("describe_addresses", "Addresses[0]", {"AllocationIds": "id"}),
    key={"AllocationId": "id"},
    delete="release_address",
    replace="domain address publicIpv4Pool networkBorderGroup",
    computed="domain networkBorderGroup publicIpv4Pool",
    reads={"privateIp": "PrivateIpAddress"},
    tags=tags_of("elastic-ip"),
    arn="ec2:elastic-ip/{id}",
)

NAT_GATEWAY: Final = Row(
    type="aws:ec2/natGateway:NatGateway",
    service="ec2",
    create="create_nat_gateway",
    id="NatGateway.NatGatewayId",
    read=Read(
        "describe_nat_gateways",
        "NatGateways[?State!='deleted' && State!='deleting'] | [0]",
        {"NatGatewayIds": "id"},
    ),
    key={"NatGatewayId": "id"},
    delete="delete_nat_gateway",
    names={"privateIp": "PrivateIpAddress"},
    replace="allocationId connectivityType subnetId privateIp",
    defaults={"connectivityType": "public"},
    reads={
        "allocationId": "NatGatewayAddresses[0].AllocationId",
        "publicIp": "NatGatewayAddresses[0].PublicIp",
        "privateIp": "NatGatewayAddresses[0].PrivateIp",
        "networkInterfaceId": "NatGatewayAddresses[0].NetworkInterfaceId",
        "associationId": "NatGatewayAddresses[0].AssociationId",
    },
    tags=tags_of("natgateway"),
)

# ---- Security groups -------------------------------------------------------------------------


def _revoke_default_egress(cloud: Cloud, state: Properties) -> None:
    """pulumi-aws removes the rule that lets everything out, which AWS adds to each new group."""
    anything = [{"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}]
    cloud.call("ec2", "revoke_security_group_egress", GroupId=state["id"], IpPermissions=anything)


SECURITY_GROUP: Final = Row(
    type="aws:ec2/securityGroup:SecurityGroup",
    service="ec2",
    create="create_security_group",
    id="GroupId",
    read=Read("describe_security_groups", "SecurityGroups[0]", {"GroupIds": "id"}),
    key={"GroupId": "id"},
    delete="delete_security_group",
    names={"name": "GroupName"},
    replace="name namePrefix description vpcId",
    defaults={"description": "Managed by Pulumi"},
    computed="vpcId",
    ignored="revokeRulesOnDelete",
    # Rules are resources of their own here: aws.vpc.SecurityGroupIngressRule and its sister.
    reads={"ingress": lambda _: None, "egress": lambda _: None},
    autoname=Autoname(),
    tags=tags_of("security-group"),
    arn="ec2:security-group/{id}",
    created=_revoke_default_egress,
)


def _permission(state: Properties) -> dict[str, Any]:
    description = {"Description": state["description"]} if state.get("description") else {}
    permission: dict[str, Any] = {"IpProtocol": state.get("ipProtocol")}
    for prop, member in {"fromPort": "FromPort", "toPort": "ToPort"}.items():
        if state.get(prop) is not None:
            permission[member] = state[prop]
    for prop, (peers, member) in {
        "cidrIpv4": ("IpRanges", "CidrIp"),
        "cidrIpv6": ("Ipv6Ranges", "CidrIpv6"),
        "prefixListId": ("PrefixListIds", "PrefixListId"),
        "referencedSecurityGroupId": ("UserIdGroupPairs", "GroupId"),
    }.items():
        if state.get(prop) is not None:
            permission[peers] = [{member: state[prop]} | description]
    return permission


def _changed_rule(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    members = {
        "ipProtocol": "IpProtocol",
        "fromPort": "FromPort",
        "toPort": "ToPort",
        "cidrIpv4": "CidrIpv4",
        "cidrIpv6": "CidrIpv6",
        "prefixListId": "PrefixListId",
        "referencedSecurityGroupId": "ReferencedGroupId",
        "description": "Description",
    }
    rule = {member: state[prop] for prop, member in members.items() if state.get(prop) is not None}
    changed = {"SecurityGroupRuleId": state["id"], "SecurityGroupRule": rule}
    return [{"SecurityGroupRules": [changed]}]


_PEERS: Final = "cidrIpv4 cidrIpv6 prefixListId referencedSecurityGroupId"
_RULE_INPUTS: Final = f"ipProtocol fromPort toPort description {_PEERS}"


def _check_rule(inputs: Properties) -> list[tuple[str, str]]:
    peers = _PEERS.split()
    given = [prop for prop in peers if prop in inputs]
    if len(given) != 1:
        return [(given[1] if given else "cidrIpv4", f"give exactly one of {', '.join(peers)}")]
    return []


def _rule_row(kind: str, direction: str) -> Row:
    return Row(
        type=f"aws:vpc/securityGroup{kind}Rule:SecurityGroup{kind}Rule",
        service="ec2",
        create=Step(
            f"authorize_security_group_{direction}",
            f"securityGroupId {_RULE_INPUTS}",
            build=lambda _, state, __: [
                {"GroupId": state["securityGroupId"], "IpPermissions": [_permission(state)]}
            ],
        ),
        id="SecurityGroupRules[0].SecurityGroupRuleId",
        read=Read(
            "describe_security_group_rules",
            "SecurityGroupRules[0]",
            {"SecurityGroupRuleIds": "id"},
        ),
        key={"GroupId": "securityGroupId"},
        update=(Step("modify_security_group_rules", _RULE_INPUTS, build=_changed_rule),),
        delete=Step(
            f"revoke_security_group_{direction}",
            key={"GroupId": "securityGroupId", "SecurityGroupRuleIds": "id"},
        ),
        replace="securityGroupId",
        reads={
            "securityGroupId": "GroupId",
            "referencedSecurityGroupId": "ReferencedGroupInfo.GroupId",
            # A protocol that has no ports shows them as -1.
            "fromPort": lambda rule: None if rule.get("FromPort") == -1 else rule.get("FromPort"),
            "toPort": lambda rule: None if rule.get("ToPort") == -1 else rule.get("ToPort"),
        },
        tags=tags_of("security-group-rule"),
        arn="ec2:security-group-rule/{id}",
        check=_check_rule,
    )


# ---- Endpoints -------------------------------------------------------------------------------


def _changed_endpoint(
    cloud: Cloud, state: Properties, changed: frozenset[str]
) -> list[dict[str, Any]]:
    live = cloud.call("ec2", "describe_vpc_endpoints", VpcEndpointIds=[state["id"]])
    endpoint = live["VpcEndpoints"][0]
    request: dict[str, Any] = {}
    current = {
        "routeTableIds": ("RouteTableIds", endpoint.get("RouteTableIds", [])),
        "subnetIds": ("SubnetIds", endpoint.get("SubnetIds", [])),
        "securityGroupIds": (
            "SecurityGroupIds",
            [group["GroupId"] for group in endpoint.get("Groups", [])],
        ),
    }
    for prop, (member, present) in current.items():
        if prop in changed:
            wanted = state.get(prop, [])
            added = [i for i in wanted if i not in present]
            removed = [i for i in present if i not in wanted]
            request |= {f"Add{member}": added} if added else {}
            request |= {f"Remove{member}": removed} if removed else {}
    if "policy" in changed:
        policy = state.get("policy")
        request |= {"PolicyDocument": policy} if policy else {"ResetPolicy": True}
    if "privateDnsEnabled" in changed:
        request["PrivateDnsEnabled"] = state.get("privateDnsEnabled", False)
    return [request]


VPC_ENDPOINT: Final = Row(
    type="aws:ec2/vpcEndpoint:VpcEndpoint",
    service="ec2",
    create="create_vpc_endpoint",
    id="VpcEndpoint.VpcEndpointId",
    read=Read(
        "describe_vpc_endpoints",
        "VpcEndpoints[?State!='deleted' && State!='deleting'] | [0]",
        {"VpcEndpointIds": "id"},
    ),
    key={"VpcEndpointId": "id"},
    update=(
        Step(
            "modify_vpc_endpoint",
            "routeTableIds subnetIds securityGroupIds policy privateDnsEnabled",
            build=_changed_endpoint,
        ),
    ),
    delete=Step("delete_vpc_endpoints", key={"VpcEndpointIds": "id"}),
    names={"policy": "PolicyDocument"},
    replace="vpcId serviceName vpcEndpointType serviceRegion",
    defaults={"vpcEndpointType": "Gateway"},
    computed="policy privateDnsEnabled ipAddressType securityGroupIds subnetIds routeTableIds",
    documents="policy",
    reads={"securityGroupIds": "Groups[].GroupId"},
    tags=tags_of("vpc-endpoint"),
    arn="ec2:vpc-endpoint/{id}",
)

# ---- Launch templates ------------------------------------------------------------------------

_TEMPLATE_NAMES: Final = {
    "vpcSecurityGroupIds": "SecurityGroupIds",
    "securityGroupNames": "SecurityGroups",
    "networkInterfaces.securityGroups": "Groups",
    "networkInterfaces.ipv4Addresses": "PrivateIpAddresses",
    "ramDiskId": "RamDiskId",
    "description": "VersionDescription",
    "name": "LaunchTemplateName",
    "iamInstanceProfile.name": "Name",
}
_TEMPLATE_DATA: Final = (
    "blockDeviceMappings capacityReservationSpecification cpuOptions creditSpecification "
    "disableApiStop disableApiTermination ebsOptimized enclaveOptions hibernationOptions "
    "iamInstanceProfile imageId instanceInitiatedShutdownBehavior instanceMarketOptions "
    "instanceRequirements instanceType kernelId keyName licenseSpecifications maintenanceOptions "
    "metadataOptions monitoring networkInterfaces placement privateDnsNameOptions ramDiskId "
    "securityGroupNames tagSpecifications userData vpcSecurityGroupIds"
)


def _template_data(cloud: Cloud, state: Properties) -> dict[str, Any]:
    shape = cloud.input_shape("ec2", "create_launch_template").members["LaunchTemplateData"]
    given = {prop: state[prop] for prop in _TEMPLATE_DATA.split() if state.get(prop) is not None}
    return to_api(given, shape, _TEMPLATE_NAMES)


def _template_request(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    request: dict[str, Any] = {"LaunchTemplateData": _template_data(cloud, state)}
    if state.get("description"):
        request["VersionDescription"] = state["description"]
    return [request]


def _set_default_version(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    template = _look_at_template(cloud, state)
    wanted = state.get("defaultVersion")
    if state.get("updateDefaultVersion"):
        wanted = template["LatestVersionNumber"]
    if wanted is not None and wanted != template["DefaultVersionNumber"]:
        cloud.call(
            "ec2",
            "modify_launch_template",
            LaunchTemplateId=state["id"],
            DefaultVersion=str(wanted),
        )


def _look_at_template(cloud: Cloud, state: Properties) -> Live:
    answer = cloud.call("ec2", "describe_launch_templates", LaunchTemplateIds=[state["id"]])
    return answer["LaunchTemplates"][0]


def _read_template(cloud: Cloud, state: Properties) -> Live | None:
    template = _look_at_template(cloud, state)
    versions = cloud.call(
        "ec2",
        "describe_launch_template_versions",
        LaunchTemplateId=state["id"],
        Versions=["$Latest"],
    )
    latest = versions["LaunchTemplateVersions"][0]
    data = latest["LaunchTemplateData"]
    # moto puts the template's own tags among those of what it launches, and never updates them.
    specifications = [
        specification
        for specification in data.get("TagSpecifications", [])
        if specification["ResourceType"] != "launch-template"
    ]
    by_id = {"Name": "resource-id", "Values": [state["id"]]}
    return (
        data
        | {"TagSpecifications": specifications}
        | template
        | {
            "VersionDescription": latest.get("VersionDescription", ""),
            "Tags": cloud.call("ec2", "describe_tags", Filters=[by_id])["Tags"],
        }
    )


LAUNCH_TEMPLATE: Final = Row(
    type="aws:ec2/launchTemplate:LaunchTemplate",
    service="ec2",
    create=Step(
        "create_launch_template",
        f"name description {_TEMPLATE_DATA}",
        build=lambda cloud, state, sent: [
            {"LaunchTemplateName": state["name"]} | _template_request(cloud, state, sent)[0]
        ],
    ),
    id="LaunchTemplate.LaunchTemplateId",
    read=_read_template,
    key={"LaunchTemplateId": "id"},
    update=(
        Step(
            "create_launch_template_version",
            f"description {_TEMPLATE_DATA}",
            build=_template_request,
        ),
        Step(
            props=f"updateDefaultVersion defaultVersion description {_TEMPLATE_DATA}",
            run=_set_default_version,
        ),
    ),
    delete="delete_launch_template",
    names=_TEMPLATE_NAMES
    | {"latestVersion": "LatestVersionNumber", "defaultVersion": "DefaultVersionNumber"},
    replace="name namePrefix",
    computed="defaultVersion",
    ignored="updateDefaultVersion",
    volatile="latestVersion defaultVersion",
    autoname=Autoname(max_length=128),
    tags=tags_of("launch-template"),
    arn="ec2:launch-template/{id}",
)

ROWS: Final = (
    VPC,
    SUBNET,
    INTERNET_GATEWAY,
    ROUTE_TABLE,
    ROUTE,
    ROUTE_TABLE_ASSOCIATION,
    EIP,
    NAT_GATEWAY,
    SECURITY_GROUP,
    _rule_row("Ingress", "ingress"),
    _rule_row("Egress", "egress"),
    VPC_ENDPOINT,
    LAUNCH_TEMPLATE,
)
