"""The bucket that access logs go to: closed, and open to the services that write them."""

from __future__ import annotations

from typing import Any, Final

import pulumi

from infra.bucket import BucketArgs, ClosedBucket

BALANCER_PREFIX: Final = "balancer"
CDN_PREFIX: Final = "cdn"
FILES_PREFIX: Final = "files/"
OWN_PREFIX: Final = "bucket/"
PAGES_PREFIX: Final = "pages/"


class LogBucket(pulumi.ComponentResource):
    """Takes the logs of the load balancer, of the CDN, of other buckets and its own."""

    bucket: pulumi.Output[str]
    arn: pulumi.Output[str]
    ready: pulumi.Resource
    """The policy that lets logs in; who logs waits for it, or AWS refuses the bucket."""

    def __init__(
        self, name: str, args: BucketArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:log_bucket:LogBucket", name, None, opts)
        closed = ClosedBucket(name, args, pulumi.ResourceOptions(parent=self))
        self.ready = closed.let_in(_writers(closed.arn))
        closed.log_to(closed.name, OWN_PREFIX, self.ready)
        self.bucket, self.arn = closed.name, closed.arn
        self.register_outputs({"bucket": closed.name})


def _writers(arn: pulumi.Output[str]) -> list[dict[str, Any]]:
    """Who may write here, and where."""
    places = {
        "logdelivery.elasticloadbalancing.amazonaws.com": f"{BALANCER_PREFIX}/AWSLogs/*",
        "delivery.logs.amazonaws.com": f"{CDN_PREFIX}/*",
        "logging.s3.amazonaws.com": "*",
    }
    return [
        {
            "Effect": "Allow",
            "Principal": {"Service": service},
            "Action": "s3:PutObject",
            "Resource": arn.apply(lambda arn, place=place: f"{arn}/{place}"),
        }
        for service, place in places.items()
    ]
