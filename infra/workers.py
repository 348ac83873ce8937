"""Workers: an Auto Scaling group for one kind of job, driven by its queue.

Busy instances protect themselves from scale-in, by their own role and on their own group alone
(`firstbell-busy COMMAND`). The hours of a kind of job are the season's: it moves the group's sizes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra.applications import NodeArgs, Surroundings, user_data
from infra.fleet import Fleet, FleetArgs
from infra.iam import Statement
from infra.season.plan import Bounds
from infra.settings.workers import JobSettings, QueueSettings

DAY_SECONDS: Final = 86_400
# Jobs that wait or are worked on, for each instance in service. Without instances the jobs
# themselves: one job starts the first instance.
BACKLOG: Final = "IF(instances > 0, (waiting + taken) / instances, waiting)"


@dataclass(frozen=True)
class WorkersArgs:
    """`kind` is the kind of job, as a season names it. `bounds` hold now."""

    kind: str
    settings: JobSettings
    bounds: Bounds
    scheduled: bool
    vpc_id: pulumi.Input[str]
    subnet_ids: Sequence[pulumi.Input[str]]
    boots_after: Sequence[pulumi.Resource]
    surroundings: Surroundings
    tags: Mapping[str, str]


class Workers(pulumi.ComponentResource):
    """Instances that nobody waits for; what concerns the queue is None where there is none."""

    group_name: pulumi.Output[str]
    security_group_id: pulumi.Output[str]
    queue_url: pulumi.Output[str] | None
    queue_name: pulumi.Output[str] | None
    failed_queue_name: pulumi.Output[str] | None

    def __init__(
        self, name: str, args: WorkersArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:workers:Workers", name, None, opts)
        self._name = name
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = dict(args.tags) | {"jobs": args.kind}
        queued = args.settings.queue_settings
        queue, failed = self._queue(queued) if queued else (None, None)
        fleet = self._fleet(queue)
        if queue is not None and queued is not None:
            self._track_backlog(fleet, queue, queued)
        else:
            fleet.track_cpu()
        self.group_name = fleet.group.name
        self.security_group_id = fleet.security_group.id
        self.queue_url = queue.url if queue else None
        self.queue_name = queue.name if queue else None
        self.failed_queue_name = failed.name if failed else None
        self.register_outputs({"group": fleet.group.name})

    def _queue(self, settings: QueueSettings) -> tuple[aws.sqs.Queue, aws.sqs.Queue]:
        """The queue, and that of jobs that failed for good."""
        name, keep = self._name, settings.keep_days * DAY_SECONDS
        failed = aws.sqs.Queue(
            f"{name}-failed",
            message_retention_seconds=keep,
            sqs_managed_sse_enabled=True,
            tags=self._tags,
            opts=self._child,
        )
        queue = aws.sqs.Queue(
            name,
            visibility_timeout_seconds=settings.longest_job_minutes * 60,
            message_retention_seconds=keep,
            # A worker that asks waits for a job, instead of asking again and again.
            receive_wait_time_seconds=20,
            sqs_managed_sse_enabled=True,
            redrive_policy=pulumi.Output.json_dumps(
                {"deadLetterTargetArn": failed.arn, "maxReceiveCount": settings.attempts}
            ),
            tags=self._tags,
            opts=self._child,
        )
        return queue, failed

    def _fleet(self, queue: aws.sqs.Queue | None) -> Fleet:
        args, settings = self._args, self._args.settings
        node = NodeArgs(
            role="worker",
            name=self._name,
            application=settings.application,
            instance_types=settings.instance_types,
            port=443,
            protocol="HTTPS",
            health="/",
            host=args.surroundings.domain,
            concurrency=1,
            queue_url=queue.url if queue else None,
        )
        return Fleet(
            self._name,
            FleetArgs(
                description=f"the workers of {args.kind}",
                settings=settings,
                bounds=args.bounds,
                scheduled=args.scheduled,
                vpc_id=args.vpc_id,
                subnet_ids=args.subnet_ids,
                boots_after=args.boots_after,
                user_data=user_data(node, args.surroundings),
                statements=args.surroundings.statements + self._statements(queue),
                tags=self._tags,
                # A refresh waits for the jobs that run, up to an hour.
                protected="Wait",
            ),
            self,
        )

    @staticmethod
    def _statements(queue: aws.sqs.Queue | None) -> list[Statement]:
        if queue is None:
            return []
        actions = (
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:ChangeMessageVisibility",
            "sqs:SendMessage",
            "sqs:GetQueueAttributes",
        )
        return [Statement(actions, [queue.arn])]

    def _track_backlog(self, fleet: Fleet, queue: aws.sqs.Queue, settings: QueueSettings) -> None:
        """Target tracking by metric math, as the user guide's "Scaling policy based on Amazon SQS"
        has it, but without a division by zero."""
        own_queue = _Dimension("AWS/SQS", "QueueName", queue.name)
        own_group = _Dimension("AWS/AutoScaling", "AutoScalingGroupName", fleet.group.name)
        metrics = [
            _metric("waiting", own_queue, "ApproximateNumberOfMessagesVisible", "Sum"),
            _metric("taken", own_queue, "ApproximateNumberOfMessagesNotVisible", "Sum"),
            _metric("instances", own_group, "GroupInServiceInstances", "Average"),
            aws.autoscaling.PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricArgs(
                id="backlog", label="jobs per instance", expression=BACKLOG, return_data=True
            ),
        ]
        fleet.track(
            "backlog",
            aws.autoscaling.PolicyTargetTrackingConfigurationArgs(
                customized_metric_specification=aws.autoscaling.PolicyTargetTrackingConfigurationCustomizedMetricSpecificationArgs(
                    metrics=metrics
                ),
                target_value=float(settings.jobs_per_instance),
            ),
        )


@dataclass(frozen=True)
class _Dimension:
    """One thing that CloudWatch measures."""

    namespace: str
    name: str
    value: pulumi.Input[str]


def _metric(
    id: str, of: _Dimension, name: str, stat: str
) -> aws.autoscaling.PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricArgs:
    return aws.autoscaling.PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricArgs(
        id=id,
        metric_stat=aws.autoscaling.PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricMetricStatArgs(
            metric=aws.autoscaling.PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricMetricStatMetricArgs(
                namespace=of.namespace,
                metric_name=name,
                dimensions=[
                    aws.autoscaling.PolicyTargetTrackingConfigurationCustomizedMetricSpecificationMetricMetricStatMetricDimensionArgs(
                        name=of.name, value=of.value
                    )
                ],
            ),
            stat=stat,
        ),
        return_data=False,
    )
