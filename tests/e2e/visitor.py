"""A visitor of a site on the local cloud, who asks again and again while something changes.

No request is sent: what the CDN would send along, and what the load balancer would do with it, is
read from the cloud's own records with boto3 and nothing of ours.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any, Final

from tests.e2e.conftest import Firstbell

INTERVAL_SECONDS: Final = 0.1
# Of the time; the machine belongs to what is watched.
MOST_BUSY: Final = 1 / 6


@dataclass
class Visitor:
    """Asks for the first page of a host; `failed` has the answers that were none."""

    firstbell: Firstbell
    host: str
    asked: int = 0
    failed: list[str] = field(default_factory=list[str])

    def __post_init__(self) -> None:
        self._cdn = self.firstbell.client("cloudfront")
        self._balancing = self.firstbell.client("elbv2")
        self._scaling = self.firstbell.client("autoscaling")
        (balancer,) = self._balancing.describe_load_balancers()["LoadBalancers"]
        (listener,) = self._balancing.describe_listeners(
            LoadBalancerArn=balancer["LoadBalancerArn"]
        )["Listeners"]
        self._listener = str(listener["ListenerArn"])

    @contextmanager
    def asking(self) -> Generator[Visitor]:
        """Ask while the block runs."""
        done = threading.Event()

        def ask() -> None:
            took = 0.0
            while not done.wait(max(INTERVAL_SECONDS, took / MOST_BUSY)):
                began = time.monotonic()
                self.ask()
                took = time.monotonic() - began

        thread = threading.Thread(target=ask)
        thread.start()
        try:
            yield self
        finally:
            done.set()
            thread.join()

    def ask(self) -> str:
        """Ask once: the tier that answers, empty where nobody does."""
        tier, why = self._answer(self.headers())
        self.asked += 1
        if not tier:
            self.failed.append(why)
        return tier

    def headers(self) -> dict[str, str]:
        """What the CDN sends along to the load balancer."""
        found = self._cdn.list_distributions()["DistributionList"].get("Items", [])
        return {
            header["HeaderName"]: header["HeaderValue"]
            for distribution in found
            for origin in distribution["Origins"]["Items"]
            for header in origin.get("CustomHeaders", {}).get("Items", [])
        }

    def rules(self) -> list[dict[str, Any]]:
        """The listener's rules in the order in which they are tried."""
        found = self._balancing.describe_rules(ListenerArn=self._listener)["Rules"]
        return sorted(
            found, key=lambda rule: (rule["IsDefault"], rule["IsDefault"] or int(rule["Priority"]))
        )

    def _answer(self, headers: Mapping[str, str]) -> tuple[str, str]:
        """Who answers; and why nobody does."""
        for rule in self.rules():
            if not all(self._holds(condition, headers) for condition in rule["Conditions"]):
                continue
            (action,) = rule["Actions"]
            if action["Type"] != "forward":
                return "", f"refused with {action['FixedResponseConfig']['StatusCode']}"
            return self._served(str(action["TargetGroupArn"]))
        raise AssertionError("a listener has a default action")

    def _holds(self, condition: Mapping[str, Any], headers: Mapping[str, str]) -> bool:
        match condition["Field"]:
            case "host-header":
                return _one_of(self.host, condition["HostHeaderConfig"]["Values"])
            case "path-pattern":
                return _one_of("/", condition["PathPatternConfig"]["Values"])
            case "http-header":
                asked = condition["HttpHeaderConfig"]
                return _one_of(headers.get(asked["HttpHeaderName"], ""), asked["Values"])
            case field:
                raise AssertionError(f"a condition on {field} that no test knows")

    def _served(self, target_group: str) -> tuple[str, str]:
        """Requests go to any healthy target, so each has to be an instance in service."""
        name = target_group.split("/")[-2]
        healthy = {
            target["Target"]["Id"]
            for target in self._balancing.describe_target_health(TargetGroupArn=target_group)[
                "TargetHealthDescriptions"
            ]
            if target["TargetHealth"]["State"] == "healthy"
        }
        in_service = {
            instance["InstanceId"]
            for group in self._scaling.describe_auto_scaling_groups()["AutoScalingGroups"]
            if target_group in group["TargetGroupARNs"]
            for instance in group["Instances"]
            if instance["LifecycleState"] == "InService"
        }
        if not healthy:
            return "", f"{name} has no healthy target"
        if dead := healthy - in_service:
            return "", f"{name} sends to {', '.join(sorted(dead))}, which are not in service"
        return name, ""


def _one_of(text: str, patterns: list[str]) -> bool:
    return any(fnmatchcase(text, pattern) for pattern in patterns)
