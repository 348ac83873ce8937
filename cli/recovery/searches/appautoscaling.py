"""Searches for resources of appautoscaling."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _scaling(operation: str, name: str | None, answer_key: str) -> Search:
    """Something of Application Auto Scaling; ids as the AWS provider gives them."""

    def search(client: Clients, inputs: Inputs) -> Iterator[str]:
        namespace, resource = inputs["serviceNamespace"], inputs["resourceId"]
        many = {"ResourceIds": [resource]} if name is None else {"ResourceId": resource}
        found = getattr(client("application-autoscaling"), operation)(
            ServiceNamespace=namespace, ScalableDimension=inputs["scalableDimension"], **many
        )[answer_key]
        if name is None:
            return iter([resource] if found else [])
        there = any(entry[name] == inputs["name"] for entry in found)
        whole = name == "ScheduledActionName"
        id = f"{inputs['name']}-{namespace}-{resource}" if whole else inputs["name"]
        return iter([id] if there else [])

    return search


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:appautoscaling/target:Target": _scaling(
        "describe_scalable_targets", None, "ScalableTargets"
    ),
    "aws:appautoscaling/policy:Policy": _scaling(
        "describe_scaling_policies", "PolicyName", "ScalingPolicies"
    ),
    "aws:appautoscaling/scheduledAction:ScheduledAction": _scaling(
        "describe_scheduled_actions", "ScheduledActionName", "ScheduledActions"
    ),
}
