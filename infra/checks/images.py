"""Whether a group's image fits its launch template and its instance types."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from infra import instances
from infra.checks.base import PLATFORM, Findings, Subject
from infra.errors import Problem
from infra.settings.fleet import DEBIAN_IMAGE, DEFAULT_IMAGE, FleetSettings

ARM: Final = "arm64"
# What both default images call their root disk.
DEFAULT_ROOT_DEVICE: Final = "/dev/xvda"


def check(subject: Subject) -> Findings:
    """Refuse another root disk than the default images have; others are asked of AWS."""
    return Findings(
        tuple(
            _other_root(key, fleet, DEFAULT_ROOT_DEVICE)
            for key, fleet in subject.settings.platform.fleets.items()
            if fleet.image_id in (DEFAULT_IMAGE, DEBIAN_IMAGE)
            and fleet.root_device != DEFAULT_ROOT_DEVICE
        )
    )


def problems_with_image(
    key: str, fleet: FleetSettings, image: Mapping[str, Any]
) -> Iterator[Problem]:
    """What stands against the image of the group at `key`, once EC2 has described it (one of
    `Images` of DescribeImages)."""
    name, path = fleet.image_id, f"{PLATFORM}/{key}"
    if image["State"] != "available":
        yield Problem(f"{path}/image", f"{name} is {image['State']}", "take one that is available")
    root = image.get("RootDeviceName")
    if root is not None and root != fleet.root_device:
        yield _other_root(key, fleet, root)
    least = max(
        (
            int(disk["Ebs"].get("VolumeSize", 0))
            for disk in image.get("BlockDeviceMappings", ())
            if disk["DeviceName"] == root and "Ebs" in disk
        ),
        default=0,
    )
    if least > fleet.volume_gib:
        yield Problem(
            f"{path}/volume_gib",
            f"is {fleet.volume_gib}, and the root disk of {name} has {least} GiB: AWS makes none "
            "that is smaller",
            f"write {least} or more",
        )
    architecture = image.get("Architecture")
    for kind in fleet.instance_types if architecture else ():
        described = instances.instance_type(kind)
        if described is None or described.architecture is None:
            continue
        # Of old types the table has i386, which run x86_64 as well.
        if (described.architecture == ARM) != (architecture == ARM):
            yield Problem(
                f"{path}/instance_types",
                f"{kind} is a machine for {described.architecture}, and {name} is for "
                f"{architecture}",
                "take another type, or an image for this one",
            )


def _other_root(key: str, fleet: FleetSettings, root: str) -> Problem:
    return Problem(
        f"{PLATFORM}/{key}/root_device",
        f"is {fleet.root_device}, and the image {fleet.image_id} calls its root disk {root}: "
        "instances would get a second disk, and the first one neither its size nor encryption",
        f"write root_device: {root}",
    )
