"""The life of what kms makes."""

from __future__ import annotations

from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def program(variant: Variant, shared: Shared) -> None:
    aws.kms.Key(
        "key",
        description=variant.either("Bells", "Alarms"),
        deletion_window_in_days=7,
        enable_key_rotation=True,
        policy=pulumi.Output.json_dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Principal": {"AWS": shared.role.arn},
                        "Action": ["kms:PutKeyPolicy", variant.either("kms:Decrypt", "kms:Sign")],
                        "Resource": "*",
                    }
                ],
            }
        ),
        tags=variant.tags,
    )


DRIFTS: Final[dict[str, Drift]] = {
    "key": lambda c, s: c("kms").disable_key_rotation(KeyId=s["id"]),
}


def left_over(client: Client) -> list[Any]:
    kms = client("kms")
    found = (kms.describe_key(KeyId=key["KeyId"])["KeyMetadata"] for key in kms.list_keys()["Keys"])
    ours = {"Bells", "Alarms"}  # moto makes keys of its own for other services
    return [
        key["KeyId"]
        for key in found
        if key["KeyState"] != "PendingDeletion" and key["Description"] in ours
    ]
