"""Images against root disk, size and instance types: at and just past each demand."""

from __future__ import annotations

from typing import Any, Final

import pytest

from infra.checks import images
from infra.checks.base import Subject
from infra.settings.fleet import DEFAULT_IMAGE
from tests.infra.checks.builders import settings

IMAGE: Final = "ami-0123456789abcdef0"
DESCRIBED: Final[dict[str, Any]] = {
    "State": "available",
    "RootDeviceName": "/dev/sda1",
    "Architecture": "x86_64",
    "BlockDeviceMappings": [
        {"DeviceName": "/dev/sda1", "Ebs": {"VolumeSize": 30}},
        {"DeviceName": "/dev/sdb", "Ebs": {"VolumeSize": 500}},
        {"DeviceName": "/dev/sdc", "VirtualName": "ephemeral0"},
    ],
}


def judged(tier: dict[str, Any], **described: Any) -> list[str]:
    """What is wrong with an image for Ubuntu as the tier `web` has it."""
    sound = {"image": IMAGE, "root_device": "/dev/sda1", "volume_gib": 30}
    web = settings(tiers={"web": sound | tier}).platform.tiers["web"]
    found = images.problems_with_image("tiers/web", web, DESCRIBED | described)
    return [str(problem) for problem in found]


def test_an_image_that_fits_is_taken() -> None:
    assert judged({"instance_types": ["m7i.large", "t3.nano"]}) == []
    assert judged({"instance_types": ["m7g.large"]}, Architecture="arm64") == []
    assert judged({}, RootDeviceName=None, Architecture=None, BlockDeviceMappings=[]) == []


@pytest.mark.parametrize(
    ("tier", "described", "said"),
    [
        ({}, {"State": "pending"}, f"tiers/web/image: {IMAGE} is pending"),
        (
            {"root_device": "/dev/xvda"},
            {},
            "calls its root disk /dev/sda1: instances would get a second disk",
        ),
        ({"volume_gib": 29}, {}, "volume_gib: is 29, and the root disk"),
        ({"instance_types": ["m7g.large"]}, {}, "m7g.large is a machine for arm64"),
        ({"instance_types": ["t3.nano"]}, {"Architecture": "arm64"}, "is for arm64"),
    ],
)
def test_an_image_that_does_not_fit_is_refused(
    tier: dict[str, Any], described: dict[str, Any], said: str
) -> None:
    (found,) = judged(tier, **described)
    assert said in found


@pytest.mark.parametrize("image", [None, DEFAULT_IMAGE])
def test_the_default_images_have_one_root_disk(image: str | None) -> None:
    def found(root: str) -> list[str]:
        tiers = {"web": {"root_device": root} | ({"image": image} if image else {})}
        return [problem.where for problem in images.check(Subject(settings(tiers=tiers))).problems]

    assert found("/dev/xvda") == []
    assert found("/dev/sda1") == ["firstbell:platform/tiers/web/root_device"]
