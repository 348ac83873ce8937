"""A closed S3 bucket: no public access, no ACLs, encrypted, over TLS only, emptied by age."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pulumi
import pulumi_aws as aws

# Versions and uploads that nobody finished are of no use for long.
LEFTOVER_DAYS: Final = 7


@dataclass(frozen=True)
class BucketArgs:
    """`keep_days` is how long objects are kept, None for ever; `protected` keeps a bucket that
    holds any. What was replaced or deleted can be brought back for `old_version_days`."""

    keep_days: int | None
    protected: bool
    tags: Mapping[str, str]
    old_version_days: int = LEFTOVER_DAYS


class ClosedBucket(pulumi.ComponentResource):
    """The bucket and its options; its policy and its log come once it is known who may use it."""

    name: pulumi.Output[str]
    arn: pulumi.Output[str]
    domain_name: pulumi.Output[str]
    """Of its Region: where a CDN finds it."""

    def __init__(
        self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:bucket:ClosedBucket", name, None, opts)
        self._name = name
        self._child = child = pulumi.ResourceOptions(parent=self)
        bucket = aws.s3.Bucket(
            name, force_destroy=not args.protected, tags=dict(args.tags), opts=child
        )
        self._closed = aws.s3.BucketPublicAccessBlock(
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
            name, bucket=bucket.id, versioning_configuration={"status": "Enabled"}, opts=child
        )
        rule: aws.s3.BucketLifecycleConfigurationRuleArgsDict = {
            "id": "expire",
            "status": "Enabled",
            "filter": {"prefix": ""},
            "noncurrent_version_expiration": {"noncurrent_days": args.old_version_days},
            "abort_incomplete_multipart_upload": {"days_after_initiation": LEFTOVER_DAYS},
        }
        if args.keep_days is not None:
            rule["expiration"] = {"days": args.keep_days}
        aws.s3.BucketLifecycleConfiguration(name, bucket=bucket.id, rules=[rule], opts=child)
        self.name, self.arn = bucket.bucket, bucket.arn
        self.domain_name = bucket.bucket_regional_domain_name
        self.register_outputs({"bucket": bucket.bucket})

    def let_in(self, statements: Sequence[Mapping[str, Any]]) -> aws.s3.BucketPolicy:
        """Its policy: these statements, and nobody without TLS."""
        objects = self.arn.apply(lambda arn: f"{arn}/*")
        deny = {
            "Effect": "Deny",
            "Principal": {"AWS": "*"},
            "Action": "s3:*",
            "Resource": [self.arn, objects],
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
        return aws.s3.BucketPolicy(
            self._name,
            bucket=self.name,
            policy=pulumi.Output.json_dumps(
                {"Version": "2012-10-17", "Statement": [*statements, deny]}
            ),
            opts=pulumi.ResourceOptions(parent=self, depends_on=[self._closed]),
        )

    def log_to(
        self, bucket: pulumi.Input[str], prefix: str, ready: pulumi.Resource
    ) -> aws.s3.BucketLogging:
        """Log who used it, once the other bucket lets the log in."""
        return aws.s3.BucketLogging(
            self._name,
            bucket=self.name,
            target_bucket=bucket,
            target_prefix=prefix,
            opts=pulumi.ResourceOptions(parent=self, depends_on=[ready]),
        )
