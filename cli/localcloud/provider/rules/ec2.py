"""Amazon EC2 and VPC: address ranges, security-group rules, launch templates."""

from __future__ import annotations

import base64
import binascii
import re
from typing import TYPE_CHECKING, Any, Final

from cli.localcloud.provider.rules.base import RefusedError, Request, cidr, refuse_unless, rule
from infra import instances

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_CODE: Final = "InvalidParameterValue"
# VPC user guide, "VPC CIDR blocks" and "Subnet CIDR blocks".
LARGEST_PREFIX: Final = 16
SMALLEST_PREFIX: Final = 28
# VPC user guide, "Security group rules".
_DESCRIPTION: Final = re.compile(r"[a-zA-Z0-9. _\-:/()#,@\[\]+=&;{}!$*]{0,255}")
# EC2 user guide, "Run commands when you launch an instance": 16 KB before encoding, checked
# 2026-08-01.
MAX_USER_DATA_BYTES: Final = 16_384


@rule("ec2", "create_vpc")
def vpc_range_is_valid(_: Cloud, request: Request) -> None:
    if text := request.get("CidrBlock"):
        _check_prefix(text, "InvalidVpc.Range")


@rule("ec2", "create_subnet")
def subnet_range_is_valid(_: Cloud, request: Request) -> None:
    if text := request.get("CidrBlock"):
        _check_prefix(text, "InvalidSubnet.Range")


def _check_prefix(text: str, code: str) -> None:
    network = cidr(text, _CODE)
    refuse_unless(
        LARGEST_PREFIX <= network.prefixlen <= SMALLEST_PREFIX,
        code,
        f"The CIDR '{text}' is invalid: it must be between a /16 and a /28",
    )


@rule("ec2", "create_subnet", live=True)
def subnet_lies_in_its_vpc(cloud: Cloud, request: Request) -> None:
    wanted = cidr(request["CidrBlock"], _CODE)
    vpc = cloud.call("ec2", "describe_vpcs", VpcIds=[request["VpcId"]])["Vpcs"][0]
    blocks = [a["CidrBlock"] for a in vpc.get("CidrBlockAssociationSet", [])]
    refuse_unless(
        any(wanted.subnet_of(cidr(block, _CODE)) for block in blocks or [vpc["CidrBlock"]]),
        "InvalidSubnet.Range",
        f"The CIDR '{wanted}' is invalid: it lies outside of {vpc['VpcId']}",
    )
    of_vpc = {"Name": "vpc-id", "Values": [request["VpcId"]]}
    for subnet in cloud.call("ec2", "describe_subnets", Filters=[of_vpc])["Subnets"]:
        refuse_unless(
            not wanted.overlaps(cidr(subnet["CidrBlock"], _CODE)),
            "InvalidSubnet.Conflict",
            f"The CIDR '{wanted}' conflicts with another subnet: {subnet['SubnetId']}",
        )


@rule("ec2", "create_subnet", live=True)
def zone_is_of_the_region(cloud: Cloud, request: Request) -> None:
    if name := request.get("AvailabilityZone"):
        zones = cloud.call("ec2", "describe_availability_zones")["AvailabilityZones"]
        names = sorted(zone["ZoneName"] for zone in zones)
        refuse_unless(
            name in names,
            _CODE,
            f"Value ({name}) for parameter availabilityZone is invalid. Subnets can currently "
            f"only be created in the following availability zones: {', '.join(names)}.",
        )


@rule("ec2", "create_route", "replace_route")
def destination_is_valid(_: Cloud, request: Request) -> None:
    if text := request.get("DestinationCidrBlock"):
        cidr(text, _CODE)


# ---- Security groups -------------------------------------------------------------------------


@rule("ec2", "create_security_group")
def group_is_named_well(_: Cloud, request: Request) -> None:
    for member in ("GroupName", "Description"):
        text = request.get(member, "")
        refuse_unless(
            _DESCRIPTION.fullmatch(text) is not None,
            _CODE,
            f"Value ({text}) for parameter {member} is invalid. Character sets beyond ASCII are "
            "not supported.",
        )
    name = request.get("GroupName", "")
    refuse_unless(not name.startswith("sg-"), _CODE, f"Group names must not start with sg-: {name}")


@rule("ec2", "authorize_security_group_ingress", "authorize_security_group_egress")
def permissions_are_sound(_: Cloud, request: Request) -> None:
    for permission in request.get("IpPermissions", []):
        _check_rule(permission)
        for peers, member in (("IpRanges", "CidrIp"), ("UserIdGroupPairs", None)):
            for peer in permission.get(peers, []):
                _check_peer(peer.get(member) if member else None, peer.get("Description", ""))


@rule("ec2", "modify_security_group_rules")
def changed_rules_are_sound(_: Cloud, request: Request) -> None:
    for update in request.get("SecurityGroupRules", []):
        changed = update.get("SecurityGroupRule", {})
        _check_rule(changed)
        _check_peer(changed.get("CidrIpv4"), changed.get("Description", ""))


def _check_peer(block: str | None, description: str) -> None:
    if block is not None:
        try:
            cidr(block, _CODE)
        except RefusedError as error:
            raise RefusedError(
                _CODE, f"CIDR block {block} is malformed: {error.message}"
            ) from error
    refuse_unless(
        _DESCRIPTION.fullmatch(description) is not None,
        _CODE,
        f"Invalid rule description {description!r}: at most 255 of a-z, A-Z, 0-9, spaces and "
        "._-:/()#,@[]+=&;{}!$*",
    )


def _check_rule(permission: dict[str, Any]) -> None:
    protocol, first, last = (permission.get(k) for k in ("IpProtocol", "FromPort", "ToPort"))
    if protocol in ("tcp", "udp"):
        known = first is not None and last is not None
        refuse_unless(known, _CODE, f"protocol {protocol} needs fromPort and toPort")
        refuse_unless(
            0 <= (first or 0) <= (last or 0) <= 65_535,
            _CODE,
            f"Invalid value 'Must specify both from and to ports with a valid range' for "
            f"portRange: {first}-{last}",
        )
    if protocol == "-1":
        refuse_unless(
            first in (None, -1) and last in (None, -1),
            _CODE,
            "You may not specify ports for protocol -1: it is all of them",
        )


# ---- Launch templates ------------------------------------------------------------------------


@rule("ec2", "create_launch_template")
def template_is_named_well(_: Cloud, request: Request) -> None:
    name = request.get("LaunchTemplateName", "abc")
    refuse_unless(
        re.fullmatch(r"[a-zA-Z0-9().\-/_]{3,128}", name) is not None,
        "InvalidLaunchTemplateName.MalformedException",
        f"A launch template name must be 3 to 128 of a-z, A-Z, 0-9 and ().-/_: {name!r}",
    )


@rule("ec2", "create_launch_template", "create_launch_template_version")
def template_is_sound(cloud: Cloud, request: Request) -> None:
    data: dict[str, Any] = request.get("LaunchTemplateData", {})
    if kind := data.get("InstanceType"):
        problem = instances.problem_with_instance_type(kind, cloud.region)
        refuse_unless(problem is None, _CODE, str(problem))
    image = data.get("ImageId", "ami-00000000")
    known = image.startswith("resolve:ssm:") or re.fullmatch(
        r"ami-([0-9a-f]{8}|[0-9a-f]{17})", image
    )
    refuse_unless(
        bool(known), "InvalidAMIID.Malformed", f"Invalid id: {image!r} (expecting 'ami-...')"
    )
    _check_user_data(data.get("UserData"))
    refuse_unless(
        not (data.get("NetworkInterfaces") and data.get("SecurityGroupIds")),
        "InvalidParameterCombination",
        "Network interfaces and an instance-level security groups may not be specified on the "
        "same request",
    )
    for mapping in data.get("BlockDeviceMappings", []):
        _check_volume(mapping.get("Ebs", {}))


def _check_user_data(encoded: str | None) -> None:
    if encoded is None:
        return
    try:
        raw = base64.b64decode(encoded, validate=True)
    except (binascii.Error, ValueError) as error:
        raise RefusedError(
            "InvalidUserData.Malformed", "Invalid BASE64 encoding of user data."
        ) from error
    refuse_unless(
        len(raw) <= MAX_USER_DATA_BYTES,
        _CODE,
        f"User data is limited to {MAX_USER_DATA_BYTES} bytes; this is {len(raw)}",
    )


# EBS user guide, "General Purpose SSD volumes": least IOPS and MiB/s of gp3.
_GP3_LEAST_IOPS: Final = 3_000
_GP3_LEAST_THROUGHPUT: Final = 125


def _check_volume(volume: dict[str, Any]) -> None:
    size = volume.get("VolumeSize", 1)
    refuse_unless(1 <= size <= 65_536, _CODE, f"Volume of {size}GiB is not in 1–65536")
    if volume.get("VolumeType") == "gp3":
        iops = volume.get("Iops", _GP3_LEAST_IOPS)
        refuse_unless(
            iops >= _GP3_LEAST_IOPS, _CODE, f"Volume iops of {iops} is too low; minimum is 3000."
        )
        throughput = volume.get("Throughput", _GP3_LEAST_THROUGHPUT)
        refuse_unless(
            throughput >= _GP3_LEAST_THROUGHPUT,
            _CODE,
            f"Throughput of {throughput} is too low; minimum is 125 MiB/s.",
        )
    elif "Throughput" in volume:
        raise RefusedError(
            "InvalidParameterCombination",
            f"Throughput goes with gp3 alone, not {volume.get('VolumeType', 'gp2')}",
        )
