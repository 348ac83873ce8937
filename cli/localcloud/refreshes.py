"""Instance refresh, and targets that tell the truth: what moto's Auto Scaling lacks.

A refresh is started, described and cancelled here, in the server. It replaces nothing by itself:
the clock does, a few instances at a time (`fleets.refresh`), as everything that takes time does on
the local cloud. How far it is, is seen from the instances that are left.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from cli.localcloud import clock, files
from cli.localcloud.boots import BOOT_TAG, GROUP_BOOT_MINUTES, record_path
from infra.clock import parse

ACTIVE: Final = "InProgress"


@dataclass
class Refresh:
    """One refresh of a group; `outdated` are the instances that it is to replace."""

    id: str
    group: Any
    request: dict[str, Any]
    outdated: frozenset[str]
    started: datetime
    ended: datetime | None = None
    status: str = ACTIVE

    def look(self) -> None:
        """Find out whether the last instance has gone."""
        if self.status == ACTIVE and not self.left:
            self.status, self.ended = "Successful", _now()

    @property
    def left(self) -> int:
        present = {state.instance.id for state in self.group.instance_states}
        return len(self.outdated & present)

    def described(self) -> dict[str, Any]:
        """As DescribeInstanceRefreshes shows it."""
        self.look()
        done = len(self.outdated) - self.left
        shown: dict[str, Any] = {
            "InstanceRefreshId": self.id,
            "AutoScalingGroupName": self.group.name,
            "Status": self.status,
            "StartTime": self.started,
            "PercentageComplete": 100 * done // len(self.outdated) if self.outdated else 100,
            "InstancesToUpdate": self.left,
            "Preferences": self.request.get("Preferences", {}),
        }
        if self.ended is not None:
            shown["EndTime"] = self.ended
        if desired := self.request.get("DesiredConfiguration"):
            shown["DesiredConfiguration"] = desired
        return shown


def _now() -> datetime:
    """By the local cloud's clock, which a server that nobody advances has not."""
    return clock.stands_at() or datetime.now(UTC)


def mend() -> None:
    """Teach moto's Auto Scaling all of it."""
    _remember_what_instances_were_launched_with()
    _take_targets_out()
    _let_targets_boot()
    _refresh()


def _remember_what_instances_were_launched_with() -> None:
    """moto shows the template's default version for every instance, whenever it was launched."""
    from moto.autoscaling.models import FakeAutoScalingGroup, InstanceState

    launch = FakeAutoScalingGroup.replace_autoscaling_group_instances
    shown = InstanceState.launch_template

    def launching(
        self: FakeAutoScalingGroup, count_needed: int, propagated_tags: dict[str, str]
    ) -> None:
        before = len(self.instance_states)
        launch(self, count_needed, propagated_tags)
        for state in self.instance_states[before:]:
            state.launched_with = _template_of(self)  # pyright: ignore[reportAttributeAccessIssue] # ours
            state.instance.launched_at = _now()  # pyright: ignore[reportAttributeAccessIssue] # ours

    def launch_template(self: InstanceState) -> dict[str, Any] | None:
        return getattr(self, "launched_with", None) or (shown.fget and shown.fget(self))

    FakeAutoScalingGroup.replace_autoscaling_group_instances = launching
    InstanceState.launch_template = property(launch_template)  # pyright: ignore[reportAttributeAccessIssue]


def _template_of(group: Any) -> dict[str, Any] | None:
    """The template that a group launches from, with the number of its version."""
    template = group.ec2_launch_template
    if template is None:
        return None
    return {
        "LaunchTemplateId": template.id,
        "LaunchTemplateName": template.name,
        "Version": str(template.get_version(group.launch_template_version).number),
    }


def _take_targets_out() -> None:
    """An instance that leaves its group leaves the target groups, too; moto leaves it there,
    healthy for ever. And what replaces a terminated one is registered."""
    from moto.autoscaling.models import AutoScalingBackend

    update = AutoScalingBackend.update_attached_target_groups
    notify = AutoScalingBackend.notify_terminate_instances

    def updating(self: AutoScalingBackend, group_name: str) -> None:
        group = self.autoscaling_groups[group_name]
        present = {state.instance.id for state in group.instance_states}
        attached = self.elbv2_backend.target_groups
        for target_group in (attached[arn] for arn in group.target_group_arns if arn in attached):
            gone = [
                target
                for target in target_group.targets
                if target not in present and _was_of(self, target, group)
            ]
            target_group.deregister_terminated_instances(gone)
        update(self, group_name)

    def notifying(self: AutoScalingBackend, instance_ids: list[str]) -> None:
        notify(self, instance_ids)
        for name in self.autoscaling_groups:
            self.update_attached_target_groups(name)

    AutoScalingBackend.update_attached_target_groups = updating
    AutoScalingBackend.notify_terminate_instances = notifying


def _was_of(backend: Any, instance_id: str, group: Any) -> bool:
    instance = backend.ec2_backend.get_instance_by_id(instance_id)
    return getattr(instance, "autoscaling_group", None) is group


def _let_targets_boot() -> None:
    """A group's instance is a healthy target one boot time after its launch, by the local clock;
    with moto it is at once."""
    from moto.elbv2.models import FakeHealthStatus, FakeTargetGroup

    health_for = FakeTargetGroup.health_for

    def judging(self: FakeTargetGroup, target: dict[str, Any], ec2_backend: Any) -> Any:
        found: Any = health_for(self, target, ec2_backend)
        instance = ec2_backend.get_instance_by_id(target["Id"])
        if found.status != "healthy" or _now() >= _in_service_from(instance):
            return found
        return FakeHealthStatus(
            found.instance_id,
            found.port,
            found.health_check_port,
            "initial",
            "Elb.InitialHealthChecking",
            "Initial health checks in progress",
        )

    FakeTargetGroup.health_for = judging


def _in_service_from(instance: Any) -> datetime:
    """When an instance has booted; always, where it is of no group."""
    group = getattr(instance, "autoscaling_group", None)
    if group is None:
        return datetime.min.replace(tzinfo=UTC)
    # What the clock launched while it moved it knows better.
    kept = (files.read_json(record_path()) or {"launched": {}})["launched"]
    text = kept.get(f"{group.region}/{group.name}", {}).get(instance.id)
    launched = parse(text, str(record_path())) if text else instance.launched_at
    tags = {tag["Key"]: tag["Value"] for tag in group.tags}
    return launched + timedelta(minutes=float(tags.get(BOOT_TAG, GROUP_BOOT_MINUTES)))


def _refresh() -> None:
    """StartInstanceRefresh, CancelInstanceRefresh, DescribeInstanceRefreshes."""
    from moto.autoscaling.exceptions import AutoscalingClientError
    from moto.autoscaling.responses import AutoScalingResponse
    from moto.core.responses import ActionResult

    def refused(code: str, message: str) -> AutoscalingClientError:
        return AutoscalingClientError(code, message)

    def of_group(self: AutoScalingResponse) -> tuple[Any, list[Refresh]]:
        name = self._get_param("AutoScalingGroupName")  # pyright: ignore[reportPrivateUsage] # moto's way
        group: Any = self.autoscaling_backend.autoscaling_groups.get(name)
        if group is None:
            raise refused("ValidationError", f"AutoScalingGroup name not found - {name}")
        refreshes: list[Refresh] = group.__dict__.setdefault("instance_refreshes", [])
        for refresh in refreshes:
            refresh.look()
        return group, refreshes

    def start_instance_refresh(self: AutoScalingResponse) -> ActionResult:
        group, refreshes = of_group(self)
        request: dict[str, Any] = dict(self._get_params())  # pyright: ignore[reportPrivateUsage] # moto's way
        preferences = request.get("Preferences", {})
        if any(refresh.status == ACTIVE for refresh in refreshes):
            raise refused(
                "InstanceRefreshInProgress",
                "An Instance Refresh is already in progress and blocks the execution of this "
                "Instance Refresh.",
            )
        if preferences.get("AutoRollback") and not request.get("DesiredConfiguration"):
            raise refused(
                "ValidationError",
                "The AutoRollback parameter cannot be set to true when the DesiredConfiguration "
                "parameter is empty.",
            )
        wanted = _template_of(group)
        outdated = frozenset(
            state.instance.id
            for state in group.instance_states
            if not preferences.get("SkipMatching") or state.launch_template != wanted
        )
        refresh = Refresh(str(uuid.uuid4()), group, request, outdated, _now())
        refreshes.insert(0, refresh)
        return ActionResult({"InstanceRefreshId": refresh.id})

    def cancel_instance_refresh(self: AutoScalingResponse) -> ActionResult:
        for refresh in of_group(self)[1]:
            if refresh.status == ACTIVE:
                refresh.status, refresh.ended = "Cancelled", _now()
                return ActionResult({"InstanceRefreshId": refresh.id})
        raise refused(
            "ActiveInstanceRefreshNotFound",
            "No in progress or pending Instance Refresh found for Auto Scaling group.",
        )

    def describe_instance_refreshes(self: AutoScalingResponse) -> ActionResult:
        wanted = set(self._get_param("InstanceRefreshIds", []))  # pyright: ignore[reportPrivateUsage] # moto's way
        found = [
            refresh.described()
            for refresh in of_group(self)[1]
            if not wanted or refresh.id in wanted
        ]
        return ActionResult({"InstanceRefreshes": found})

    operations: tuple[Callable[..., Any], ...] = (
        start_instance_refresh,
        cancel_instance_refresh,
        describe_instance_refreshes,
    )
    for operation in operations:
        setattr(AutoScalingResponse, operation.__name__, operation)
