"""`quotas`: what AWS has raised for this account, and what is needed of it besides this stack."""

from __future__ import annotations

from pydantic import Field

from infra.settings.base import Settings


class QuotaSettings(Settings):
    """Quotas that AWS has raised; what is not named has AWS's default.

    `preview` compares them with what the stack asks for at its largest. State what is left of a
    quota for this stack where others share the account.
    """

    targets_per_load_balancer: int | None = Field(
        None, ge=1, description="Instances that one load balancer may have as targets."
    )
    targets_per_target_group: int | None = Field(
        None, ge=1, description="Instances that one target group may have."
    )
    rules_per_load_balancer: int | None = Field(
        None, ge=1, description="Listener rules of one load balancer: one a tier."
    )
    standard_vcpus: int | None = Field(
        None,
        ge=1,
        description="vCPUs of running on-demand instances of the families A, C, D, H, I, M, R, "
        "T and Z together. New accounts have few, and AWS raises it with use: without a value, "
        "preview only says what is needed.",
    )
    db_instances: int | None = Field(
        None, ge=1, description="DB instances of the Region: Aurora's writer and replicas."
    )
    elastic_ips: int | None = Field(
        None, ge=1, description="Elastic IP addresses of the Region: one a NAT gateway."
    )
    rules_per_security_group: int | None = Field(
        None,
        ge=1,
        description="Rules of one security group: the database's has one a tier and kind of job.",
    )
    cache_nodes: int | None = Field(
        None, ge=1, description="ElastiCache nodes of the Region: primaries and replicas."
    )
    cache_nodes_per_cluster: int | None = Field(
        None, ge=1, description="Nodes of one cache with cluster mode."
    )
    reserved_capacity_units: int | None = Field(
        None,
        ge=1,
        description="Load balancer capacity units that may be reserved in the Region; AWS's "
        "default is none.",
    )
