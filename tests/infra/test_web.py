"""A web tier's wiring: every setting reaches a resource."""

from __future__ import annotations

from typing import Any

from tests.infra.conftest import Record

GROUP = "aws:autoscaling/group:Group"
HOOK = "aws:autoscaling/lifecycleHook:LifecycleHook"
TEMPLATE = "aws:ec2/launchTemplate:LaunchTemplate"
TARGETS = "aws:lb/targetGroup:TargetGroup"
RULE = "aws:lb/listenerRule:ListenerRule"


def test_a_tier_is_safe_without_a_setting(record: Record) -> None:
    recorded = record()
    template = recorded.of_type(TEMPLATE)["tiny-web"]
    assert template["metadataOptions"]["httpTokens"] == "required"
    # T2 has it not, and AWS launches none that asks for it; where it is free it is on by itself.
    assert "ebsOptimized" not in template
    (volume,) = template["blockDeviceMappings"]
    assert (volume["ebs"]["encrypted"], volume["ebs"]["volumeType"]) == ("true", "gp3")
    (interface,) = template["networkInterfaces"]
    assert interface["associatePublicIpAddress"] == "false"
    group: Any = recorded.of_type(GROUP)["tiny-web"]
    assert {"GroupMinSize", "GroupInServiceInstances", "GroupDesiredCapacity"} <= set(
        group["enabledMetrics"]
    )
    assert group["healthCheckType"] == "ELB"
    assert "warmPool" not in group, "it costs, and not everybody needs one"


def test_every_setting_of_a_tier_reaches_a_resource(record: Record) -> None:
    recorded = record(
        tiers={
            "web": {
                "boot_minutes": 7,
                "image": "ami-0123456789abcdef0",
                "root_device": "/dev/sda1",
                "max_lifetime_days": 14,
                "refresh": {"min_healthy_percent": 90, "max_healthy_percent": 120},
                "warm_pool": {
                    "min": 1,
                    "max_prepared": 6,
                    "state": "Running",
                    "reuse_on_scale_in": True,
                },
                "drain_seconds": 90,
                "slow_start_seconds": 120,
                "health_path": "/up",
            }
        }
    )
    (volume,) = recorded.of_type(TEMPLATE)["tiny-web"]["blockDeviceMappings"]
    assert volume["deviceName"] == "/dev/sda1"
    group: Any = recorded.of_type(GROUP)["tiny-web"]
    assert group["warmPool"] == {
        "poolState": "Running",
        "minSize": 1,
        "maxGroupPreparedCapacity": 6,
        "instanceReusePolicy": {"reuseOnScaleIn": True},
    }
    assert group["maxInstanceLifetime"] == 14 * 86_400
    assert group["instanceRefresh"]["strategy"] == "Rolling"
    preferences = group["instanceRefresh"]["preferences"]
    assert preferences["minHealthyPercentage"] == 90
    assert preferences["maxHealthyPercentage"] == 120
    # It would "go back" to the new template, from bad instances to bad ones.
    assert preferences["autoRollback"] is False
    targets = recorded.of_type(TARGETS)["tiny-web"]
    assert targets["deregistrationDelay"] == 90
    assert targets["slowStart"] == 120
    assert targets["healthCheck"]["path"] == "/up"
    # No instance enters service before it says that it is ready: not even the first ones.
    (first,) = group["initialLifecycleHooks"]
    for hook in (first, recorded.of_type(HOOK)["tiny-web-ready"]):
        assert hook["name"] == "firstbell-ready"
        assert hook["lifecycleTransition"] == "autoscaling:EC2_INSTANCE_LAUNCHING"
        assert hook["defaultResult"] == "ABANDON"
        assert hook["heartbeatTimeout"] == 2 * 7 * 60


def test_services_by_path_and_tenants_by_host_are_tiers_alike(record: Record) -> None:
    services = {f"service-{number}": {"paths": [f"/{number}/*"], "max": 3} for number in range(10)}
    tenants = {
        "north": {"hosts": ["north.example.org"], "max": 3},
        # Only what is behind a balancer gets health checks; nobody but a tester sends the header.
        "south": {"hosts": ["south.example.org"], "max": 3, "takes_requests": False},
    }
    recorded = record(tiers={"web": {}} | services | tenants)
    assert len(recorded.of_type(GROUP)) == len(recorded.of_type(RULE)) == 13
    conditions = {name: rule["conditions"] for name, rule in recorded.of_type(RULE).items()}
    assert conditions["tiny-service-3"] == [{"pathPattern": {"values": ["/3/*"]}}]
    assert conditions["tiny-north"] == [{"hostHeader": {"values": ["north.example.org"]}}]
    assert conditions["tiny-south"] == [
        {"hostHeader": {"values": ["south.example.org"]}},
        {"httpHeader": {"httpHeaderName": "x-firstbell-tier", "values": ["south"]}},
    ]
