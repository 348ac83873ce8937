"""`quotas`: what AWS has raised for this account, and what is needed of it besides this stack."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from infra.settings.base import Settings


def _vcpus(families: str) -> Any:
    return Field(
        None,
        ge=1,
        description=f"vCPUs of running on-demand instances of the families {families}; a new "
        "account has none. Without a value, preview asks the account on AWS, and refuses locally.",
    )


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
        "preview asks the account on AWS, and locally only says what is needed.",
    )
    dl_vcpus: int | None = _vcpus("DL")
    f_vcpus: int | None = _vcpus("F")
    g_and_vt_vcpus: int | None = _vcpus("G (Gr, too) and VT")
    high_memory_vcpus: int | None = _vcpus("U (high memory)")
    hpc_vcpus: int | None = _vcpus("HPC")
    inf_vcpus: int | None = _vcpus("Inf")
    p_vcpus: int | None = _vcpus("P")
    trn_vcpus: int | None = _vcpus("Trn")
    x_vcpus: int | None = _vcpus("X")
    certificate_names: int | None = Field(
        None,
        ge=1,
        le=100,
        description="Names in one certificate of ACM, which firstbell requests; AWS's default is "
        "10, and it raises that to 100 at most.",
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
