"""What moto 5.2.5 gets wrong so that no caller can work around it, put right in the server.

Each mend is made when its service is first asked, since importing moto's services takes a second.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Final, cast

from cli.localcloud import refreshes

# The name of a hosted zone that is somebody else's.
SOMEBODYS_ZONE: Final = "."
# What a certificate of another account names on the local cloud: RFC 2606 keeps it from everybody.
SOMEBODYS_NAME: Final = "another-account.invalid"


@functools.cache
def mend(service: str) -> None:
    """Put right what is wrong with a service, named as in a request's signature."""
    match service:
        case "acm":
            _take_certificates_of_other_accounts_as_there()
        case "autoscaling":
            _keep_mixed_instances_policies()
            _launch_from_later_versions_with_user_data()
            refreshes.mend()
        case "application-autoscaling":
            _scale_caches()
            _say_that_a_scalable_target_is_not_there()
        case "monitoring":
            _put_alarms_on_alarms()
        case "route53":
            _name_zones_as_aws_does()
            _take_unknown_zones_for_somebody_elses()
        case "s3":
            _judge_policies_as_requests_over_tls()
        case "rds":
            _delete_automated_snapshots_with_their_cluster()
            _modify_proxies_and_subscriptions()
            _reset_parameters()
        case "scheduler":
            _start_schedules_by_the_clock_of_the_local_cloud()
        case _:
            pass


def _keep_mixed_instances_policies() -> None:
    """An update that says nothing of the policy leaves it; moto takes it away."""
    from moto.autoscaling.models import FakeAutoScalingGroup

    update = FakeAutoScalingGroup.update

    def keeping(self: FakeAutoScalingGroup, **request: Any) -> None:
        kept = self.mixed_instances_policy
        replaced = any(
            request.get(key)
            for key in ("launch_config_name", "launch_template", "mixed_instances_policy")
        )
        update(self, **request)
        if not replaced:
            self.mixed_instances_policy = kept

    FakeAutoScalingGroup.update = keeping  # pyright: ignore[reportAttributeAccessIssue] # moto names all arguments


def _launch_from_later_versions_with_user_data() -> None:
    """moto reads the user data of a template's first version alone in a form that it can launch."""
    from moto.core.types import Base64EncodedString
    from moto.ec2.models.launch_templates import LaunchTemplateVersion

    def user_data(self: LaunchTemplateVersion) -> Base64EncodedString | None:
        given = self.data.get("UserData")
        return Base64EncodedString(given) if isinstance(given, str) else given

    LaunchTemplateVersion.user_data = property(user_data)  # pyright: ignore[reportAttributeAccessIssue] # moto's is read-only


def _delete_automated_snapshots_with_their_cluster() -> None:
    """moto keeps them, named by the minute, and then refuses a cluster made anew in that minute."""
    from moto.rds.models import DBCluster, RDSBackend

    delete = RDSBackend.delete_db_cluster

    def deleting(
        self: RDSBackend, cluster_identifier: str, snapshot_name: str | None = None
    ) -> DBCluster:
        deleted = delete(self, cluster_identifier, snapshot_name)
        for name, snapshot in list(self.cluster_snapshots.items()):
            if (
                snapshot.cluster.db_cluster_identifier == cluster_identifier
                and snapshot.snapshot_type == "automated"
            ):
                del self.cluster_snapshots[name]
        return deleted

    RDSBackend.delete_db_cluster = deleting


def _scale_caches() -> None:
    """moto knows no scalable targets of ElastiCache, neither the service nor its dimensions."""
    from enum import Enum

    from moto.applicationautoscaling import models, responses

    def with_caches(known: type[Enum], more: dict[str, str]) -> Any:
        members = {member.name: member.value for member in known} | more
        return Enum(known.__name__, members)

    dimensions = {
        "ELASTICACHE_NODE_GROUPS": "elasticache:replication-group:NodeGroups",
        "ELASTICACHE_REPLICAS": "elasticache:replication-group:Replicas",
    }
    services = with_caches(models.ServiceNamespaceValueSet, {"ELASTICACHE": "elasticache"})
    of_services = with_caches(models.ScalableDimensionValueSet, dimensions)
    for module in (models, responses):
        setattr(module, "ServiceNamespaceValueSet", services)  # noqa: B010 (a type to the checker)
        setattr(module, "ScalableDimensionValueSet", of_services)  # noqa: B010


def _say_that_a_scalable_target_is_not_there() -> None:
    """moto takes its deregistration for a wrong request; to AWS it is an object not found."""
    from moto.applicationautoscaling.models import ApplicationAutoscalingBackend
    from moto.core.exceptions import JsonRESTError

    deregister = ApplicationAutoscalingBackend.deregister_scalable_target

    def deregistering(
        self: ApplicationAutoscalingBackend, namespace: str, r_id: str, dimension: str
    ) -> None:
        if r_id not in self.targets.get(dimension, {}):
            raise JsonRESTError(
                "ObjectNotFoundException",
                f"No scalable target found for service namespace: {namespace}, resource ID: {r_id},"
                f" scalable dimension: {dimension}",
            )
        deregister(self, namespace, r_id, dimension)

    ApplicationAutoscalingBackend.deregister_scalable_target = deregistering


def _put_alarms_on_alarms() -> None:
    """moto describes composite alarms, but makes none. AWS makes one only of alarms that are there,
    and keeps those that one is made of."""
    import re

    from moto.cloudwatch.exceptions import ValidationError
    from moto.cloudwatch.models import CloudWatchBackend
    from moto.cloudwatch.responses import CloudWatchResponse
    from moto.core.responses import EmptyResult

    def named_in(rule: str) -> set[str]:
        return {name.rpartition(":alarm:")[2] for name in re.findall(r'\("?([^()"]+)"?\)', rule)}

    def put_composite_alarm(self: CloudWatchResponse) -> EmptyResult:
        rule = str(self._get_param("AlarmRule"))  # pyright: ignore[reportPrivateUsage] # moto's way
        alarms = self.cloudwatch_backend.alarms
        if unknown := sorted(named_in(rule) - alarms.keys()):
            raise ValidationError(
                f"Could not save the composite alarm as alarms {unknown} in the alarm rule do not "
                "exist"
            )
        self.put_metric_alarm()
        return EmptyResult()

    delete = CloudWatchBackend.delete_alarms

    def deleting(self: CloudWatchBackend, alarm_names: list[str]) -> None:
        for alarm in self.alarms.values():
            needed = named_in(alarm.rule) if alarm.rule else set[str]()
            if alarm.name not in alarm_names and (kept := sorted(needed & set(alarm_names))):
                raise ValidationError(
                    f"Cannot delete {', '.join(kept)}: {alarm.name} depends on it"
                )
        delete(self, alarm_names)

    CloudWatchBackend.delete_alarms = deleting
    _add(CloudWatchResponse, put_composite_alarm)


def _modify_proxies_and_subscriptions() -> None:
    """moto makes and deletes RDS proxies and event subscriptions, but cannot change them."""
    from moto.core.responses import ActionResult
    from moto.rds.responses import RDSResponse

    def take_over(thing: Any, params: Any, members: dict[str, str]) -> None:
        for member, attribute in members.items():
            if member in params:
                setattr(thing, attribute, params[member])

    def modify_db_proxy(self: RDSResponse) -> ActionResult:
        (proxy,) = self.backend.describe_db_proxies(self.params["DBProxyName"])
        members = {
            "Auth": "auth",
            "RequireTLS": "require_tls",
            "IdleClientTimeout": "idle_client_timeout",
            "DebugLogging": "debug_logging",
            "RoleArn": "role_arn",
            "SecurityGroups": "vpc_security_group_ids",
        }
        take_over(proxy, self.params, members)
        return ActionResult({"DBProxy": proxy})

    def modify_event_subscription(self: RDSResponse) -> ActionResult:
        (found,) = self.backend.describe_event_subscriptions(self.params["SubscriptionName"])
        members = {
            "SnsTopicArn": "sns_topic_arn",
            "SourceType": "source_type",
            "EventCategories": "event_categories",
            "Enabled": "enabled",
        }
        take_over(found, self.params, members)
        return ActionResult({"EventSubscription": found})

    _add(RDSResponse, modify_db_proxy, modify_event_subscription)


def _reset_parameters() -> None:
    """moto cannot give a parameter its default back, in groups of clusters and of instances."""
    from moto.core.responses import ActionResult
    from moto.rds.responses import RDSResponse

    def reset(group: Any, member: str, params: Any) -> ActionResult:
        names = [parameter["ParameterName"] for parameter in params.get("Parameters", [])]
        for name in list(group.parameters) if params.get("ResetAllParameters") else names:
            group.parameters.pop(name, None)
        return ActionResult({member: params[member]})

    def reset_db_parameter_group(self: RDSResponse) -> ActionResult:
        member = "DBParameterGroupName"
        (group,) = self.backend.describe_db_parameter_groups(
            {"db_parameter_group_name": self.params[member]}
        )
        return reset(group, member, self.params)

    def reset_db_cluster_parameter_group(self: RDSResponse) -> ActionResult:
        member = "DBClusterParameterGroupName"
        (group,) = self.backend.describe_db_cluster_parameter_groups(self.params[member])
        return reset(group, member, self.params)

    _add(RDSResponse, reset_db_parameter_group, reset_db_cluster_parameter_group)


def _add(responses: type, *operations: Callable[..., Any]) -> None:
    """Let moto answer operations that it does not know."""
    for operation in operations:
        setattr(responses, operation.__name__, operation)


def _judge_policies_as_requests_over_tls() -> None:
    """A statement about requests without TLS concerns none here: the endpoint stands for AWS's.

    moto ignores conditions, so that "deny without TLS" would deny everything.
    """
    from moto.iam.access_control import IAMPolicyStatement, PermissionResult

    permitted = IAMPolicyStatement.is_action_permitted

    def judging(self: IAMPolicyStatement, *asked: Any, **named: Any) -> PermissionResult:
        condition = self._statement.get("Condition", {})  # pyright: ignore[reportPrivateUsage] # moto has no reader
        if str(condition.get("Bool", {}).get("aws:SecureTransport", "")).lower() == "false":
            return PermissionResult.NEUTRAL
        return permitted(self, *asked, **named)

    IAMPolicyStatement.is_action_permitted = judging


def _name_zones_as_aws_does() -> None:
    """The ids of hosted zones begin with Z."""
    from moto.route53 import models

    make: Callable[..., str] = models.create_route53_zone_id

    def making(**given: Any) -> str:
        return f"Z{make(**given)}"

    models.create_route53_zone_id = making


def _take_unknown_zones_for_somebody_elses() -> None:
    """A hosted zone that a stack names by its id is there already, for any name."""
    from moto.route53.models import FakeZone, Route53Backend

    find = Route53Backend.get_hosted_zone

    def finding(self: Route53Backend, id_: str) -> FakeZone:
        id, zones = id_.replace("/hostedzone/", ""), cast("dict[str, Any]", self.zones)
        if id not in zones:
            zones[id] = FakeZone(
                SOMEBODYS_ZONE,
                id,
                private_zone=False,
                caller_reference="firstbell",
                comment="taken as there",
            )
        return find(self, id_)

    Route53Backend.get_hosted_zone = finding


def _take_certificates_of_other_accounts_as_there() -> None:
    """A stack for AWS that is tried here names a certificate that only its own account has."""
    from moto.acm.models import AWSCertificateManagerBackend, CertBundle

    find = AWSCertificateManagerBackend.get_certificate

    def finding(self: AWSCertificateManagerBackend, arn: str) -> CertBundle:
        region, account = [*arn.split(":"), "", "", ""][3:5]
        known = self._certificates  # pyright: ignore[reportPrivateUsage] # moto's way
        if arn not in known and region == self.region_name and account != self.account_id:
            known[arn] = CertBundle.generate_cert(
                SOMEBODYS_NAME, account_id=account, region=region, sans=[]
            )
            known[arn].arn, known[arn].status = arn, "ISSUED"
        return find(self, arn)

    AWSCertificateManagerBackend.get_certificate = finding


def _start_schedules_by_the_clock_of_the_local_cloud() -> None:
    """moto holds starts against the system's clock; the provider's rules know the local one."""
    from moto.scheduler.models import Schedule

    def taken(_: Schedule, start_date: str | None) -> str | None:
        return start_date

    Schedule._validate_start_date = taken  # pyright: ignore[reportPrivateUsage, reportAttributeAccessIssue]
