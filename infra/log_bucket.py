"""The bucket that access logs go to: closed, encrypted, over TLS only, emptied by age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

BALANCER_PREFIX: Final = "balancer"
OWN_PREFIX: Final = "bucket/"
# Versions and uploads that nobody finished are of no use for long.
LEFTOVER_DAYS: Final = 7


@dataclass(frozen=True)
class LogBucketArgs:
    """`keep_days` is how long logs are kept; `protected` keeps a bucket that holds any."""

    keep_days: int
    protected: bool
    tags: Mapping[str, str]


class LogBucket(pulumi.ComponentResource):
    """Takes the logs of the load balancer and its own."""

    bucket: pulumi.Output[str]
    ready: pulumi.Resource
    """The policy that lets logs in; who logs waits for it, or AWS refuses the bucket."""

    def __init__(
        self, name: str, args: LogBucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:log_bucket:LogBucket", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        tags = dict(args.tags)
        bucket = aws.s3.Bucket(name, force_destroy=not args.protected, tags=tags, opts=child)
        closed = aws.s3.BucketPublicAccessBlock(
            name,
            bucket=bucket.id,
            block_public_acls=True,
            block_public_policy=True,
            ignore_public_acls=True,
            restrict_public_buckets=True,
            opts=child,
        )
        aws.s3.BucketOwnershipControls(
            name,
            bucket=bucket.id,
            rule=aws.s3.BucketOwnershipControlsRuleArgs(object_ownership="BucketOwnerEnforced"),
            opts=child,
        )
        # Load balancers cannot log to a bucket whose key is a customer's. ELB user guide, "Enable
        # access logs".
        aws.s3.BucketServerSideEncryptionConfiguration(
            name,
            bucket=bucket.id,
            rules=[
                aws.s3.BucketServerSideEncryptionConfigurationRuleArgs(
                    apply_server_side_encryption_by_default=(
                        aws.s3.BucketServerSideEncryptionConfigurationRuleApplyServerSideEncryptionByDefaultArgs(
                            sse_algorithm="AES256"
                        )
                    )
                )
            ],
            opts=child,
        )
        aws.s3.BucketVersioning(
            name,
            bucket=bucket.id,
            versioning_configuration={"status": "Enabled"},
            opts=child,
        )
        aws.s3.BucketLifecycleConfiguration(
            name,
            bucket=bucket.id,
            rules=[
                {
                    "id": "expire",
                    "status": "Enabled",
                    "filter": {"prefix": ""},
                    "expiration": {"days": args.keep_days},
                    "noncurrent_version_expiration": {"noncurrent_days": LEFTOVER_DAYS},
                    "abort_incomplete_multipart_upload": {"days_after_initiation": LEFTOVER_DAYS},
                }
            ],
            opts=child,
        )
        self.ready = aws.s3.BucketPolicy(
            name,
            bucket=bucket.id,
            policy=pulumi.Output.json_dumps(_policy(bucket.arn)),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[closed]),
        )
        aws.s3.BucketLogging(
            name,
            bucket=bucket.id,
            target_bucket=bucket.id,
            target_prefix=OWN_PREFIX,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self.ready]),
        )
        self.bucket = bucket.bucket
        self.register_outputs({"bucket": bucket.bucket})


def _policy(arn: pulumi.Output[str]) -> dict[str, object]:
    """Who may write here, and nobody without TLS."""
    objects = arn.apply(lambda arn: f"{arn}/*")
    writers = {
        "logdelivery.elasticloadbalancing.amazonaws.com": arn.apply(
            lambda arn: f"{arn}/{BALANCER_PREFIX}/AWSLogs/*"
        ),
        "logging.s3.amazonaws.com": objects,
    }
    allow = [
        {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "s3:PutObject",
            "Resource": resource,
        }
        for service, resource in writers.items()
    ]
    deny = {
        "Effect": "Deny",
        "Principal": {"AWS": "*"},
        "Action": "s3:*",
        "Resource": [arn, objects],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": "2012-10-17", "Statement": [*allow, deny]}
