"""The one topic that everything worth knowing about a stack is sent to."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

# The services that may publish, each for this account alone.
PUBLISHERS: Final = (
    "budgets.amazonaws.com",
    "cloudwatch.amazonaws.com",
    "events.rds.amazonaws.com",
)
# EventBridge, for the rules that are named alone.
RULES: Final = "events.amazonaws.com"
# What the account's own policies may hand out of the key, named one by one.
KEY_ADMINISTRATION: Final = (
    "kms:CancelKeyDeletion",
    "kms:DescribeKey",
    "kms:DisableKey",
    "kms:DisableKeyRotation",
    "kms:EnableKey",
    "kms:EnableKeyRotation",
    "kms:GetKeyPolicy",
    "kms:GetKeyRotationStatus",
    "kms:ListKeyPolicies",
    "kms:ListResourceTags",
    "kms:PutKeyPolicy",
    "kms:ScheduleKeyDeletion",
    "kms:TagResource",
    "kms:UntagResource",
    "kms:UpdateKeyDescription",
)
# What whoever publishes to an encrypted topic needs. SNS developer guide, "Enable compatibility
# between event sources from AWS services and encrypted topics".
KEY_USE: Final = ("kms:Decrypt", "kms:GenerateDataKey")
# The least that AWS takes; a message lives in the topic for minutes.
KEY_DELETION_DAYS: Final = 7


@dataclass(frozen=True)
class NoticesArgs:
    """`tags` go on the topic. `rules` are the names of EventBridge's rules that may publish: they
    need not be there yet."""

    tags: Mapping[str, str]
    rules: Sequence[str] = ()


class Notices(pulumi.ComponentResource):
    """An SNS topic; who reads it is said where the alarms are."""

    topic_arn: pulumi.Output[str]

    def __init__(
        self, name: str, args: NoticesArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:notices:Notices", name, None, opts)
        child = pulumi.ResourceOptions(parent=self)
        topic = aws.sns.Topic(
            name, kms_master_key_id=self._key(name, args).arn, tags=dict(args.tags), opts=child
        )
        policy = aws.sns.TopicPolicy(
            name,
            arn=topic.arn,
            policy=pulumi.Output.json_dumps(
                {
                    "Version": "2012-10-17",
                    "Statement": [
                        *self._rules(topic, args.rules),
                        {
                            "Effect": "Allow",
                            "Principal": {"Service": list(PUBLISHERS)},
                            "Action": "sns:Publish",
                            "Resource": topic.arn,
                            "Condition": {"StringEquals": {"aws:SourceAccount": topic.owner}},
                        },
                    ],
                }
            ),
            opts=child,
        )
        # Who sends to the topic waits until it may.
        self.topic_arn = policy.arn
        self.register_outputs({"topic_arn": topic.arn})

    def _rules(self, topic: aws.sns.Topic, names: Sequence[str]) -> list[dict[str, object]]:
        """Named by their ARNs, as the topic's own says partition, Region and account: the rules
        wait for the topic. EventBridge's guide has said that a topic's policy may have no condition
        for it; an alarm on failed deliveries tells if that is still so."""
        if not names:
            return []
        arns = topic.arn.apply(lambda arn: [_rule_arn(arn, name) for name in names])
        return [
            {
                "Effect": "Allow",
                "Principal": {"Service": RULES},
                "Action": "sns:Publish",
                "Resource": topic.arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": arns}},
            }
        ]

    def _key(self, name: str, args: NoticesArgs) -> aws.kms.Key:
        """A key of the stack's own: SNS's (alias/aws/sns) keeps CloudWatch, RDS, Budgets and
        EventBridge out, and what they send is lost without a word."""
        account = aws.get_caller_identity_output(
            opts=pulumi.InvokeOutputOptions(parent=self)
        ).account_id
        statements = [
            {
                "Sid": "ThisAccountAdministers",
                "Effect": "Allow",
                "Principal": {"AWS": account.apply(lambda id: f"arn:aws:iam::{id}:root")},
                "Action": [*KEY_ADMINISTRATION, *KEY_USE],
                "Resource": "*",
            },
            {
                "Sid": "PublishersUse",
                "Effect": "Allow",
                "Principal": {"Service": [*PUBLISHERS, *([RULES] if args.rules else [])]},
                "Action": list(KEY_USE),
                "Resource": "*",
                # For whom they ask the topic's policy checks; what KMS is told of it differs from
                # service to service, and a condition that is not met loses messages silently.
            },
        ]
        return aws.kms.Key(
            name,
            description=f"What is sent to {name}",
            enable_key_rotation=True,
            deletion_window_in_days=KEY_DELETION_DAYS,
            policy=pulumi.Output.json_dumps({"Version": "2012-10-17", "Statement": statements}),
            tags=dict(args.tags),
            opts=pulumi.ResourceOptions(parent=self),
        )


def _rule_arn(topic_arn: str, name: str) -> str:
    """A rule's ARN on the default bus, in the topic's partition, Region and account."""
    arn, partition, _, region, account, _ = topic_arn.split(":", 5)
    return f"{arn}:{partition}:events:{region}:{account}:rule/{name}"
