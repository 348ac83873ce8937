"""The secret with which the CDN proves to the load balancer that a request came through it.

It stands in Secrets Manager, and secret in plan and state. To change it, a new one is made beside
the old: the balancer takes both, then the CDN sends the new one, and the next change lets the old
one go. CloudFront needs some minutes to reach all its places, so one at a time is never enough.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.settings.platform import ORIGIN_KEYS

HEADER: Final = "x-firstbell-origin"
# Letters and digits: a star or question mark would match anything in a listener rule.
LENGTH: Final = 48


@dataclass(frozen=True)
class OriginKeyArgs:
    """`number` is the current one's; the one before is valid as well."""

    number: int
    tags: Mapping[str, str]


class OriginKey(pulumi.ComponentResource):
    """The secrets that are valid."""

    values: Sequence[pulumi.Output[str]]
    """The newest first."""

    def __init__(
        self, name: str, args: OriginKeyArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:origin_key:OriginKey", name, None, opts)
        newest = args.number
        numbers = range(newest, max(newest - ORIGIN_KEYS, 0), -1)
        self.values = [self._key(f"{name}-{number}", args.tags) for number in numbers]
        self.register_outputs({})

    def _key(self, name: str, tags: Mapping[str, str]) -> pulumi.Output[str]:
        """Made once: each run generates another one, which is never written."""
        secret = aws.secretsmanager.Secret(
            name,
            description=f"What the CDN sends to the load balancer in {HEADER}",
            tags=tags,
            opts=pulumi.ResourceOptions(parent=self),
        )
        generated = aws.secretsmanager.get_random_password_output(
            password_length=LENGTH,
            exclude_punctuation=True,
            opts=pulumi.InvokeOutputOptions(parent=self),
        ).random_password
        version = aws.secretsmanager.SecretVersion(
            name,
            secret_id=secret.id,
            secret_string=pulumi.Output.secret(generated),
            opts=pulumi.ResourceOptions(parent=self, ignore_changes=["secretString"]),
        )
        return pulumi.Output.secret(version.secret_string.apply(lambda text: text or ""))
