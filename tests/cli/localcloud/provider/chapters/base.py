"""What the chapters of the life-cycle test have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pulumi
import pulumi_aws as aws

Client = Callable[[str], Any]
# What somebody does to a resource behind our back, given its state.
Drift = Callable[[Client, dict[str, Any]], object]


@dataclass(frozen=True)
class Variant:
    """What differs between two runs: `color` is updated in place, `name` and `cidr` replace."""

    color: str = "blue"
    instance_type: str = "t3.micro"
    name: str = "a"
    cidr: str = "10.0.0.0/16"

    @property
    def tags(self) -> dict[str, str]:
        return {"color": self.color, "stack": pulumi.get_stack()}

    def either(self, blue: Any, other: Any) -> Any:
        """A value that the update changes."""
        return blue if self.color == "blue" else other


@dataclass
class Shared:
    """What earlier chapters made that later ones need."""

    made: dict[str, Any] = field(default_factory=dict[str, Any])

    @property
    def vpc(self) -> aws.ec2.Vpc:
        return self.made["vpc"]

    @property
    def subnets(self) -> list[aws.ec2.Subnet]:
        return self.made["subnets"]

    @property
    def gateway(self) -> aws.ec2.InternetGateway:
        return self.made["gateway"]

    @property
    def security(self) -> aws.ec2.SecurityGroup:
        return self.made["security"]

    @property
    def role(self) -> aws.iam.Role:
        return self.made["role"]

    @property
    def profile(self) -> aws.iam.InstanceProfile:
        return self.made["profile"]

    @property
    def targets(self) -> aws.lb.TargetGroup:
        return self.made["targets"]

    @property
    def group(self) -> aws.autoscaling.Group:
        return self.made["group"]

    @property
    def cluster(self) -> aws.rds.Cluster:
        return self.made["cluster"]

    @property
    def topic(self) -> aws.sns.Topic:
        return self.made["topic"]
