"""The life of what s3 makes."""

from __future__ import annotations

import json
from typing import Any, Final

import pulumi
import pulumi_aws as aws

from tests.cli.localcloud.provider.chapters.base import Client, Drift, Shared, Variant


def program(variant: Variant, shared: Shared) -> None:
    bucket = aws.s3.Bucket(
        "bucket",
        bucket=f"{pulumi.get_stack()}-{variant.name}",
        force_destroy=True,
        tags=variant.tags,
    )
    aws.s3.BucketVersioning(
        "versioning",
        bucket=bucket.id,
        versioning_configuration={"status": variant.either("Enabled", "Suspended")},
    )
    aws.s3.BucketServerSideEncryptionConfiguration(
        "encryption",
        bucket=bucket.id,
        rules=[
            {
                "apply_server_side_encryption_by_default": {"sse_algorithm": "AES256"},
                "bucket_key_enabled": variant.either(True, False),
            }
        ],
    )
    aws.s3.BucketLifecycleConfiguration(
        "lifecycle",
        bucket=bucket.id,
        rules=[
            {
                "id": "expire",
                "status": "Enabled",
                "filter": {"prefix": ""},
                "expiration": {"days": variant.either(90, 30)},
                "noncurrent_version_expiration": {"noncurrent_days": 7},
                "abort_incomplete_multipart_upload": {"days_after_initiation": 7},
            }
        ],
    )
    aws.s3.BucketOwnershipControls(
        "ownership",
        bucket=bucket.id,
        rule={"object_ownership": variant.either("BucketOwnerEnforced", "BucketOwnerPreferred")},
    )
    block = aws.s3.BucketPublicAccessBlock(
        "access",
        bucket=bucket.id,
        block_public_acls=True,
        block_public_policy=True,
        ignore_public_acls=True,
        restrict_public_buckets=variant.either(True, False),
    )
    policy = aws.s3.BucketPolicy(
        "bucket-policy",
        bucket=bucket.id,
        policy=bucket.arn.apply(lambda arn: policy_of(arn, variant.color)),
        opts=pulumi.ResourceOptions(depends_on=[block]),
    )
    aws.s3.BucketLogging(
        "bucket-logging",
        bucket=bucket.id,
        target_bucket=bucket.id,
        target_prefix=f"{variant.color}/",
        opts=pulumi.ResourceOptions(depends_on=[policy]),
    )
    aws.s3.BucketObjectv2(
        "page",
        bucket=bucket.id,
        key="index.html",
        content=f"<p>{variant.color}</p>",
        content_type="text/html",
        # Denies nothing: the local cloud takes every request for one with TLS.
        opts=pulumi.ResourceOptions(depends_on=[policy]),
    )
    shared.made["bucket"] = bucket


def policy_of(arn: str, sid: str) -> str:
    """TLS only, and server access logs may be written."""
    return json.dumps(
        {
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": sid,
                    "Effect": "Deny",
                    "Principal": {"AWS": "*"},
                    "Action": "s3:*",
                    "Resource": [arn, f"{arn}/*"],
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
                {
                    "Effect": "Allow",
                    "Principal": {"Service": "logging.s3.amazonaws.com"},
                    "Action": "s3:PutObject",
                    "Resource": f"{arn}/*",
                },
            ],
        }
    )


DRIFTS: Final[dict[str, Drift]] = {
    "bucket": lambda c, s: c("s3").put_bucket_tagging(
        Bucket=s["id"], Tagging={"TagSet": [{"Key": "color", "Value": "evil"}]}
    ),
    "versioning": lambda c, s: c("s3").put_bucket_versioning(
        Bucket=s["id"], VersioningConfiguration={"Status": "Suspended"}
    ),
    "encryption": lambda c, s: c("s3").put_bucket_encryption(
        Bucket=s["id"],
        ServerSideEncryptionConfiguration={
            "Rules": [{"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms"}}]
        },
    ),
    "lifecycle": lambda c, s: c("s3").delete_bucket_lifecycle(Bucket=s["id"]),
    "ownership": lambda c, s: c("s3").put_bucket_ownership_controls(
        Bucket=s["id"], OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]}
    ),
    "access": lambda c, s: c("s3").delete_public_access_block(Bucket=s["id"]),
    "bucket-policy": lambda c, s: c("s3").delete_bucket_policy(Bucket=s["id"]),
    "bucket-logging": lambda c, s: c("s3").put_bucket_logging(
        Bucket=s["id"], BucketLoggingStatus={}
    ),
    "page": lambda c, s: c("s3").put_object(
        Bucket=s["inputs"]["bucket"], Key="index.html", Body=b"evil"
    ),
}
REMOVED: Final = frozenset({"lifecycle", "access", "bucket-policy", "bucket-logging"})


def left_over(client: Client) -> list[Any]:
    return client("s3").list_buckets()["Buckets"]
