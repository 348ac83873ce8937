"""What is seen and told of a stack: its dashboard, its alarms, the addresses, the budget."""

from __future__ import annotations

from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import pulumi
import pulumi_aws as aws

from infra import alarms, dashboard
from infra.alarms import COMPOSITES, MAX_ALARMS_OF_A_COMPOSITE, Alarm, Silence
from infra.backup import tested
from infra.cache import REPLICA_CPU_TARGET_PERCENT
from infra.checks.connections import max_connections
from infra.database import READER_CPU_TARGET_PERCENT
from infra.fleet import CPU_TARGET_PERCENT
from infra.measures import (
    CacheGroup,
    Cluster,
    Group,
    Jobs,
    Metric,
    Tier,
    Watched,
    floor_metric,
)
from infra.settings.observability import ObservabilitySettings
from infra.settings.platform import PlatformSettings

# What CloudWatch makes of periods without data. CloudWatch user guide, "Configuring how CloudWatch
# alarms treat missing data".
MISSING_DATA: Final[Mapping[Silence, str]] = {
    "well": "notBreaching",
    "told": "missing",
    "wrong": "breaching",
}
# What of the month's limit is told: (spent or forecast, percent of the limit).
BUDGET_NOTICES: Final = (("ACTUAL", 80), ("ACTUAL", 100), ("FORECASTED", 100))


@dataclass(frozen=True)
class MetricNames:
    """What CloudWatch calls the parts of a stack; groups, target groups and queues by the name that
    the stack's file has for them. `queues` are each with that of failed jobs, `refresh_rules`
    those of EventBridge that tell of failed instance refreshes, `backed_up` the kinds that AWS
    Backup protects."""

    balancer: pulumi.Input[str]
    vault: pulumi.Input[str]
    cluster: pulumi.Input[str]
    groups: Mapping[str, pulumi.Input[str]]
    target_groups: Mapping[str, pulumi.Input[str]]
    queues: Mapping[str, tuple[pulumi.Input[str], pulumi.Input[str]]]
    cache: pulumi.Input[str] | None = None
    refresh_rules: Sequence[pulumi.Input[str]] = ()
    backed_up: Sequence[str] = ("Aurora",)


def watch(
    stack: str, platform: PlatformSettings, scheduled: Container[str], names: MetricNames
) -> Watched:
    """What there is to be looked at; `scheduled` has the targets of the season."""
    database, cache = platform.database, platform.cache
    floors = {
        name: floor_metric(stack, name) for name in ("database", "cache") if name in scheduled
    }
    groups = {
        name: Group(name, names.groups[name], fleet.boot_minutes)
        for name, fleet in platform.groups.items()
    }
    return Watched(
        balancer=names.balancer,
        vault=names.vault,
        tiers={
            name: Tier(
                groups[name],
                names.balancer,
                names.target_groups[name],
                tier.requests_per_target_per_minute,
            )
            for name, tier in platform.tiers.items()
        },
        jobs={
            name: Jobs(
                groups[name],
                *names.queues.get(name, (None, None)),
                jobs_per_instance=queue.jobs_per_instance if (queue := job.queue_settings) else 1,
                cpu_target_percent=CPU_TARGET_PERCENT,
                own_hours=name in scheduled,
            )
            for name, job in (platform.workers.groups if platform.workers else {}).items()
        },
        cluster=Cluster(
            names.cluster,
            least_replicas=database.replicas.min,
            has_replicas=database.replicas.max > 0,
            most_connections=database.max_connections
            or max_connections(database.instance_class, database.engine),
            cpu_target_percent=READER_CPU_TARGET_PERCENT,
            scheduled_floor=floors.get("database"),
        ),
        cache=CacheGroup(names.cache, cache, REPLICA_CPU_TARGET_PERCENT, floors.get("cache"))
        if cache is not None and names.cache is not None
        else None,
        backed_up=names.backed_up,
        restored=tested(names.backed_up, platform.backup),
        refresh_rules=names.refresh_rules,
    )


@dataclass(frozen=True)
class ObservabilityArgs:
    """`topic_arn` is where alarms go; `season` is the path of the season's file, to be read."""

    stack: str
    region: str
    season: str | None
    settings: ObservabilitySettings
    watched: Watched
    topic_arn: pulumi.Input[str]
    tags: Mapping[str, str]


class Observability(pulumi.ComponentResource):
    """One dashboard, alarms that are told once a cause, and who is told."""

    dashboard_name: pulumi.Output[str]

    def __init__(
        self, name: str, args: ObservabilityArgs, opts: pulumi.ResourceOptions | None = None
    ) -> None:
        super().__init__("firstbell:observability:Observability", name, None, opts)
        self._args = args
        self._child = pulumi.ResourceOptions(parent=self)
        self._tags = dict(args.tags)
        self._subscriptions()
        self._budget()
        composites = self._composites(
            [
                (alarm, self._alarm(alarm))
                for alarm in alarms.of_stack(args.stack, args.watched, args.settings)
            ]
        )
        shown = aws.cloudwatch.Dashboard(
            args.stack,
            dashboard_name=args.stack,
            dashboard_body=pulumi.Output.json_dumps(
                dashboard.body(
                    args.stack,
                    args.region,
                    args.season,
                    args.watched,
                    [composite.arn for composite in composites],
                )
            ),
            opts=self._child,
        )
        self.dashboard_name = shown.dashboard_name
        self.register_outputs({"dashboard": shown.dashboard_name})

    def _subscriptions(self) -> None:
        for email in self._args.settings.emails:
            aws.sns.TopicSubscription(
                f"{self._args.stack}-{email}",
                topic=self._args.topic_arn,
                protocol="email",
                endpoint=email,
                opts=self._child,
            )

    def _alarm(self, alarm: Alarm) -> aws.cloudwatch.MetricAlarm:
        """Tells nobody itself, save that its metrics went silent: the composite tells."""
        name = f"{self._args.stack}-{alarm.name}"
        return aws.cloudwatch.MetricAlarm(
            name,
            name=name,
            alarm_description=alarm.text,
            comparison_operator="GreaterThanOrEqualToThreshold",
            threshold=alarm.threshold,
            evaluation_periods=alarm.periods,
            datapoints_to_alarm=alarm.periods,
            treat_missing_data=MISSING_DATA[alarm.silence],
            insufficient_data_actions=[self._args.topic_arn] if alarm.silence == "told" else None,
            metric_queries=[
                *(_query(id, metric, alarm.period) for id, metric in alarm.metrics.items()),
                aws.cloudwatch.MetricAlarmMetricQueryArgs(
                    id="result", expression=alarm.expression, label=alarm.label, return_data=True
                ),
            ],
            tags=self._tags,
            opts=self._child,
        )

    def _composites(
        self, made: Sequence[tuple[Alarm, aws.cloudwatch.MetricAlarm]]
    ) -> list[aws.cloudwatch.CompositeAlarm]:
        """One a topic that has alarms. What is over is told, too."""
        found: list[aws.cloudwatch.CompositeAlarm] = []
        for topic, (name, text) in COMPOSITES.items():
            mine = [resource for alarm, resource in made if alarm.topic == topic]
            if mine:
                names = [resource.name for resource in mine]
                found.append(self._composite(f"{self._args.stack}-{name}", text, names))
        return found

    def _composite(
        self, name: str, text: str, children: Sequence[pulumi.Output[str]], *, tells: bool = True
    ) -> aws.cloudwatch.CompositeAlarm:
        """On when any of `children` is. Of more than AWS takes it is made in two layers."""
        most = MAX_ALARMS_OF_A_COMPOSITE
        if len(children) > most:
            layers = [children[at : at + most] for at in range(0, len(children), most)]
            children = [
                self._composite(f"{name}-{number}", text, layer, tells=False).alarm_name
                for number, layer in enumerate(layers, start=1)
            ]
        told = [self._args.topic_arn] if tells else None
        return aws.cloudwatch.CompositeAlarm(
            name,
            alarm_name=name,
            alarm_description=f"{text} Which of them says this message's list of alarms that set "
            f"it off; each says what to do next. All of them: the dashboard {self._args.stack}, or "
            f"`firstbell status -s {self._args.stack}`.",
            alarm_rule=pulumi.Output.all(*children).apply(
                lambda names: " OR ".join(f'ALARM("{child}")' for child in names)
            ),
            alarm_actions=told,
            ok_actions=told,
            tags=self._tags,
            opts=self._child,
        )

    def _budget(self) -> None:
        """Of the whole account: AWS counts a single stack only once its tag is a cost allocation
        tag, and until then as nothing."""
        limit = self._args.settings.monthly_limit_usd
        if limit is None:
            return
        aws.budgets.Budget(
            self._args.stack,
            name=f"{self._args.stack}-monthly",
            budget_type="COST",
            time_unit="MONTHLY",
            limit_amount=f"{limit:.2f}",
            limit_unit="USD",
            notifications=[
                aws.budgets.BudgetNotificationArgs(
                    notification_type=kind,
                    comparison_operator="GREATER_THAN",
                    threshold=percent,
                    threshold_type="PERCENTAGE",
                    subscriber_sns_topic_arns=[self._args.topic_arn],
                )
                for kind, percent in BUDGET_NOTICES
            ],
            tags=self._tags,
            opts=self._child,
        )


def _query(id: str, metric: Metric, period: int) -> aws.cloudwatch.MetricAlarmMetricQueryArgs:
    return aws.cloudwatch.MetricAlarmMetricQueryArgs(
        id=id,
        metric=aws.cloudwatch.MetricAlarmMetricQueryMetricArgs(
            namespace=metric.namespace,
            metric_name=metric.name,
            dimensions=metric.dimensions,
            period=period,
            stat=metric.stat,
        ),
        return_data=False,
    )
