"""Searches for resources of elb."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from cli.recovery.searches.base import Clients, Inputs, Search


def _balancer(client: Clients, inputs: Inputs) -> Iterator[str]:
    found = client("elbv2").describe_load_balancers(Names=[inputs["name"]])
    return (balancer["LoadBalancerArn"] for balancer in found["LoadBalancers"])


def _target_group(client: Clients, inputs: Inputs) -> Iterator[str]:
    found = client("elbv2").describe_target_groups(Names=[inputs["name"]])
    return (group["TargetGroupArn"] for group in found["TargetGroups"])


def _listener(client: Clients, inputs: Inputs) -> Iterator[str]:
    found = client("elbv2").describe_listeners(LoadBalancerArn=inputs["loadBalancerArn"])
    return (
        listener["ListenerArn"]
        for listener in found["Listeners"]
        if listener["Port"] == inputs["port"]
    )


def _listener_rule(client: Clients, inputs: Inputs) -> Iterator[str]:
    found = client("elbv2").describe_rules(ListenerArn=inputs["listenerArn"])
    return (
        rule["RuleArn"] for rule in found["Rules"] if rule["Priority"] == str(inputs["priority"])
    )


SEARCHES: Final[Mapping[str, Search]] = {
    "aws:lb/loadBalancer:LoadBalancer": _balancer,
    "aws:lb/targetGroup:TargetGroup": _target_group,
    "aws:lb/listener:Listener": _listener,
    "aws:lb/listenerRule:ListenerRule": _listener_rule,
}
