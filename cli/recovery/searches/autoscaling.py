"""Searches for resources of autoscaling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search, named


def _of_group(operation: str, members: str, answer_key: str, name: str) -> Search:
    """A policy or scheduled action of an Auto Scaling group."""

    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        asked = {"AutoScalingGroupName": inputs["autoscalingGroupName"], members: [inputs[name]]}
        answer = getattr(client("autoscaling"), operation)(**asked)
        return iter([inputs[name]] if answer[answer_key] else [])

    return search


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:autoscaling/group:Group": named(
        "autoscaling", "describe_auto_scaling_groups", "AutoScalingGroupNames", "name", "list"
    ),
    "aws:autoscaling/lifecycleHook:LifecycleHook": _of_group(
        "describe_lifecycle_hooks", "LifecycleHookNames", "LifecycleHooks", "name"
    ),
    "aws:autoscaling/policy:Policy": _of_group(
        "describe_policies", "PolicyNames", "ScalingPolicies", "name"
    ),
    "aws:autoscaling/schedule:Schedule": _of_group(
        "describe_scheduled_actions",
        "ScheduledActionNames",
        "ScheduledUpdateGroupActions",
        "scheduledActionName",
    ),
}
