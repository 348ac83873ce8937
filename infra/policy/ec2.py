"""Controls of EC2 and its networks: VPCs, subnets, security groups, launch templates."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

from infra import instances
from infra.policy.base import (
    Control,
    Fault,
    Faults,
    Resource,
    ResourceCheck,
    ResourceControl,
    Stack,
    StackCheck,
    StackControl,
    must_be,
    same,
    value_at,
)
from infra.policy.zones import SUBNET

VPC: Final = "aws:ec2/vpc:Vpc"
DEFAULT_SECURITY_GROUP: Final = "aws:ec2/defaultSecurityGroup:DefaultSecurityGroup"
FLOW_LOG: Final = "aws:ec2/flowLog:FlowLog"
ENDPOINT: Final = "aws:ec2/vpcEndpoint:VpcEndpoint"
LAUNCH_TEMPLATE: Final = "aws:ec2/launchTemplate:LaunchTemplate"
SECURITY_GROUP: Final = "aws:ec2/securityGroup:SecurityGroup"
INGRESS_RULE: Final = "aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule"
NETWORK_ACL: Final = "aws:ec2/networkAcl:NetworkAcl"
NETWORK_ACL_RULE: Final = "aws:ec2/networkAclRule:NetworkAclRule"
BLOCK_PUBLIC_ACCESS: Final = "aws:ec2/vpcBlockPublicAccessOptions:VpcBlockPublicAccessOptions"
ENCRYPTION_BY_DEFAULT: Final = "aws:ebs/encryptionByDefault:EncryptionByDefault"

ANYWHERE: Final = ("0.0.0.0/0", "::/0")
# The parameter `authorizedTcpPorts` of EC2.18.
AUTHORISED_PORTS: Final = (80, 443)
# The parameter `blockedPorts` of EC2.19.
HIGH_RISK_PORTS: Final = (
    *(20, 21, 22, 23, 25, 110, 135, 143, 445, 1433, 1434, 3000, 3306, 3389, 4333, 5000, 5432),
    *(5500, 5601, 8080, 8088, 8888, 9200, 9300),
)
REMOTE_ADMINISTRATION_PORTS: Final = (22, 3389)


def _default_group_is_closed(vpc: Resource, stack: Stack) -> Faults:
    groups = stack.naming(vpc, "vpcId", DEFAULT_SECURITY_GROUP)
    if not groups:
        yield Fault(
            "default security group",
            "open",
            "take it over without rules (ec2.DefaultSecurityGroup)",
        )
    for group in groups:
        for side in ("ingress", "egress"):
            if group.items(side):
                yield Fault(f"{group.name}/{side}", "has rules", "leave it without rules")


def _logs_its_traffic(vpc: Resource, stack: Stack) -> Faults:
    logs = stack.naming(
        vpc, "vpcId", FLOW_LOG, where=lambda log: log.get("trafficType") in ("ALL", "REJECT")
    )
    if not logs:
        yield Fault("flow log", None, "add one for rejected traffic, or for all (ec2.FlowLog)")


def _has_endpoint(service: str) -> StackCheck:
    """A VPC has an interface endpoint for a service such as `ecr.api`, where the Region has it."""

    def check(vpc: Resource, stack: Stack) -> Faults:
        def serves(endpoint: Resource) -> bool:
            name = str(endpoint.get("serviceName", ""))
            return endpoint.get("vpcEndpointType") == "Interface" and _service(name) == service

        if any(instances.lacks_service(region, service) for region in _regions(stack)):
            return
        if not stack.naming(vpc, "vpcId", ENDPOINT, where=serves):
            yield Fault(
                f"interface endpoint for {service}", None, "add it (firstbell:platform/network)"
            )

    return check


def _regions(stack: Stack) -> set[str]:
    """The Regions in which a stack has endpoints: `eu-north-1` of com.amazonaws.eu-north-1.s3."""
    names = (str(endpoint.peek("serviceName")).split(".") for endpoint in stack.of(ENDPOINT))
    return {name[2] for name in names if len(name) > 3}


def _service(name: str) -> str:
    """`com.amazonaws.eu-north-1.ecr.api` -> `ecr.api`."""
    return ".".join(name.split(".")[3:])


def _mappings(template: Resource) -> Iterable[tuple[str, Any]]:
    for number, mapping in enumerate(template.items("blockDeviceMappings")):
        if value_at(mapping, "ebs") is not None:
            yield f"blockDeviceMappings.{number}.ebs", mapping["ebs"]


def _encrypts_its_volumes(template: Resource) -> Faults:
    for path, _ in _mappings(template):
        yield from must_be(f"{path}.encrypted", True, absent=False)(template)


def _maps_an_encrypted_volume(template: Resource) -> Faults:
    """Left out, the image decides, and public images are not encrypted."""
    if not list(_mappings(template)):
        yield Fault("blockDeviceMappings", None, "map the root volume, with ebs.encrypted: true")
    yield from _encrypts_its_volumes(template)


def _requires_tokens(template: Resource) -> Faults:
    if template.get("metadataOptions.httpEndpoint") == "disabled":
        return
    yield from must_be("metadataOptions.httpTokens", "required", absent="optional")(template)


def _public(words: tuple[str | None, ...], fix: str) -> ResourceCheck:
    """A launch template gives no interface a public address, in one of these words."""

    def check(template: Resource) -> Faults:
        for number in range(len(template.items("networkInterfaces"))):
            path = f"networkInterfaces.{number}.associatePublicIpAddress"
            value = template.get(path)
            if any(
                value is None if word is None else same(value, word == "true") for word in words
            ):
                yield Fault(path, value, fix)

    return check


def _says_no_public_address(template: Resource) -> Faults:
    """Instances have none only where the template says so: left out, the subnet decides."""
    if not template.items("networkInterfaces"):
        yield Fault("networkInterfaces", None, "declare one with associatePublicIpAddress: false")
    yield from _public((None, "true"), "set it to false")(template)


def _open_ranges(rule: Resource) -> Iterable[tuple[str, int, int]]:
    """What a rule or a group opens to everybody: (path, first port, last port)."""
    if rule.type == INGRESS_RULE:
        if rule.get("cidrIpv4") in ANYWHERE or rule.get("cidrIpv6") in ANYWHERE:
            yield from _range(rule.properties, "", rule.get("ipProtocol"))
        return
    for number, entry in enumerate(rule.items("ingress")):
        blocks = [
            *(value_at(entry, "cidrBlocks") or ()),
            *(value_at(entry, "ipv6CidrBlocks") or ()),
        ]
        if any(block in ANYWHERE for block in blocks):
            yield from _range(entry, f"ingress.{number}.", value_at(entry, "protocol"))


def _range(entry: Any, prefix: str, protocol: object) -> Iterable[tuple[str, int, int]]:
    if str(protocol) in ("-1", "all"):
        yield f"{prefix}protocol", 0, 65535
    elif str(protocol) in ("tcp", "6", "udp", "17"):
        first, last = value_at(entry, "fromPort"), value_at(entry, "toPort")
        yield f"{prefix}fromPort", int(first or 0), int(65535 if last is None else last)


def _opens_authorised_ports_only(rule: Resource) -> Faults:
    for path, first, last in _open_ranges(rule):
        if first != last or first not in AUTHORISED_PORTS:
            yield Fault(path, f"{first}-{last} to the internet", "open no more than 80 and 443")


def _opens_no_high_risk_port(rule: Resource) -> Faults:
    for path, first, last in _open_ranges(rule):
        if risky := [port for port in HIGH_RISK_PORTS if first <= port <= last]:
            shown = ", ".join(map(str, risky[:4]))
            yield Fault(path, f"{shown} to the internet", "close it to all but known addresses")


def _no_remote_administration(acl: Resource) -> Faults:
    """AWS leaves a VPC's default network ACL out, and so does this control."""
    if acl.type == NETWORK_ACL_RULE:
        if not acl.get("egress", False) and acl.get("ruleAction") == "allow":
            yield from _administers(acl.properties, "", "ipv6CidrBlock")
        return
    for number, entry in enumerate(acl.items("ingress")):
        if value_at(entry, "action") == "allow":
            yield from _administers(entry, f"ingress.{number}.", "ipv6CidrBlock")


def _administers(entry: Any, prefix: str, ipv6: str) -> Faults:
    if value_at(entry, "cidrBlock") not in ANYWHERE and value_at(entry, ipv6) not in ANYWHERE:
        return
    protocol = str(value_at(entry, "protocol"))
    if protocol not in ("-1", "all", "tcp", "6"):
        return
    first, last = value_at(entry, "fromPort"), value_at(entry, "toPort")
    everything = protocol in ("-1", "all")
    for port in REMOTE_ADMINISTRATION_PORTS:
        if everything or int(first or 0) <= port <= int(65535 if last is None else last):
            yield Fault(
                f"{prefix}fromPort", f"{port} from anywhere", "deny it before it is allowed"
            )


def _encrypts_by_default(template: Resource, stack: Stack) -> Faults:
    """A setting of the account in a Region, which the stack turns on."""
    settings = stack.of(ENCRYPTION_BY_DEFAULT)
    if not any(same(setting.get("enabled", True), True) for setting in settings):
        yield Fault("EBS encryption by default", None, "turn it on (firstbell:platform/account)")


def _blocks_public_access(vpc: Resource, stack: Stack) -> Faults:
    """A setting of the account in a Region; the stack's own VPC is excluded from it by name."""
    modes = [each.get("internetGatewayBlockMode") for each in stack.of(BLOCK_PUBLIC_ACCESS)]
    if not set(modes) & {"block-bidirectional", "block-ingress"}:
        yield Fault(
            "VPC Block Public Access",
            modes or None,
            "turn it on (firstbell:platform/network/block_public_access)",
        )


CONTROLS: Final[tuple[Control, ...]] = (
    StackControl(
        "EC2.2",
        "VPC default security groups should not allow inbound or outbound traffic",
        (VPC,),
        _default_group_is_closed,
    ),
    ResourceControl(
        "EC2.3",
        "Attached Amazon EBS volumes should be encrypted at-rest",
        (LAUNCH_TEMPLATE,),
        _maps_an_encrypted_volume,
    ),
    StackControl(
        "EC2.6", "VPC flow logging should be enabled in all VPCs", (VPC,), _logs_its_traffic
    ),
    StackControl(
        "EC2.7",
        "EBS default encryption should be enabled",
        (LAUNCH_TEMPLATE,),
        _encrypts_by_default,
    ),
    ResourceControl(
        "EC2.8",
        "EC2 instances should use Instance Metadata Service Version 2 (IMDSv2)",
        (LAUNCH_TEMPLATE,),
        _requires_tokens,
    ),
    ResourceControl(
        "EC2.9",
        "Amazon EC2 instances should not have a public IPv4 address",
        (LAUNCH_TEMPLATE,),
        _says_no_public_address,
    ),
    StackControl(
        "EC2.10",
        "Amazon EC2 should be configured to use VPC endpoints that are created for the Amazon EC2 "
        "service",
        (VPC,),
        _has_endpoint("ec2"),
    ),
    ResourceControl(
        "EC2.15",
        "Amazon EC2 subnets should not automatically assign public IP addresses",
        (SUBNET,),
        must_be("mapPublicIpOnLaunch", False, absent=False),
    ),
    ResourceControl(
        "EC2.18",
        "Security groups should only allow unrestricted incoming traffic for authorized ports",
        (INGRESS_RULE, SECURITY_GROUP),
        _opens_authorised_ports_only,
    ),
    ResourceControl(
        "EC2.19",
        "Security groups should not allow unrestricted access to ports with high risk",
        (INGRESS_RULE, SECURITY_GROUP),
        _opens_no_high_risk_port,
    ),
    ResourceControl(
        "EC2.21",
        "Network ACLs should not allow ingress from 0.0.0.0/0 to port 22 or port 3389",
        (NETWORK_ACL, NETWORK_ACL_RULE),
        _no_remote_administration,
    ),
    ResourceControl(
        "EC2.25",
        "Amazon EC2 launch templates should not assign public IPs to network interfaces",
        (LAUNCH_TEMPLATE,),
        _public(("true",), "set it to false"),
    ),
    StackControl(
        "EC2.55",
        "VPCs should be configured with an interface endpoint for ECR API",
        (VPC,),
        _has_endpoint("ecr.api"),
    ),
    StackControl(
        "EC2.56",
        "VPCs should be configured with an interface endpoint for Docker Registry",
        (VPC,),
        _has_endpoint("ecr.dkr"),
    ),
    StackControl(
        "EC2.57",
        "VPCs should be configured with an interface endpoint for Systems Manager",
        (VPC,),
        _has_endpoint("ssm"),
    ),
    StackControl(
        "EC2.58",
        "VPCs should be configured with an interface endpoint for Systems Manager Incident Manager "
        "Contacts",
        (VPC,),
        _has_endpoint("ssm-contacts"),
    ),
    StackControl(
        "EC2.60",
        "VPCs should be configured with an interface endpoint for Systems Manager Incident Manager",
        (VPC,),
        _has_endpoint("ssm-incidents"),
    ),
    ResourceControl(
        "EC2.170",
        "EC2 launch templates should use Instance Metadata Service Version 2 (IMDSv2)",
        (LAUNCH_TEMPLATE,),
        _requires_tokens,
    ),
    StackControl(
        "EC2.172",
        "EC2 VPC Block Public Access settings should block internet gateway traffic",
        (VPC,),
        _blocks_public_access,
    ),
    ResourceControl(
        "EC2.181",
        "EC2 launch templates should enable encryption for attached EBS volumes",
        (LAUNCH_TEMPLATE,),
        _encrypts_its_volumes,
    ),
)
