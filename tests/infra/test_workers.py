"""Workers: driven by a queue, or by CPU where the application has none."""

from __future__ import annotations

from typing import Any

from infra.workers import BACKLOG
from tests.infra.conftest import Record

GROUP = "aws:autoscaling/group:Group"
QUEUE = "aws:sqs/queue:Queue"
SCALING = "aws:autoscaling/policy:Policy"

MOODLE = {"kind": "moodle", "version": "4.5.8", "sha256": "a" * 64}


def test_workers_are_there_when_the_stack_names_them(record: Record) -> None:
    assert set(record().of_type(GROUP)) == {"tiny-web"}
    recorded = record(workers={})
    assert set(recorded.of_type(GROUP)) == {"tiny-web", "tiny-workers"}
    rules = recorded.of_type("aws:vpc/securityGroupIngressRule:SecurityGroupIngressRule")
    assert "tiny-access-database-from-workers" in rules


def test_each_kind_of_job_has_its_own_group_and_queues(record: Record) -> None:
    imports = {
        "min": 0,
        "max": 6,
        "queue": {"jobs_per_instance": 25, "longest_job_minutes": 45, "keep_days": 7},
    }
    recorded = record(workers={"jobs": {"imports": imports}})
    assert set(recorded.of_type(GROUP)) == {"tiny-web", "tiny-workers", "tiny-imports"}
    group: Any = recorded.of_type(GROUP)["tiny-imports"]
    assert (group["minSize"], group["maxSize"]) == (0, 6)
    assert group["healthCheckType"] == "EC2"
    # A refresh waits for the jobs that run.
    assert group["instanceRefresh"]["preferences"]["scaleInProtectedInstances"] == "Wait"
    queues = recorded.of_type(QUEUE)
    assert set(queues) == {
        f"tiny-{kind}{suffix}" for kind in ("workers", "imports") for suffix in ("", "-failed")
    }
    assert queues["tiny-imports"]["visibilityTimeoutSeconds"] == 45 * 60
    assert all(queue["sqsManagedSseEnabled"] is True for queue in queues.values())
    for name in ("tiny-imports", "tiny-imports-failed"):
        assert queues[name]["messageRetentionSeconds"] == 7 * 86_400
    policy: Any = recorded.of_type(SCALING)["tiny-imports-backlog"]
    tracking = policy["targetTrackingConfiguration"]
    assert tracking["targetValue"] == 25
    metrics = tracking["customizedMetricSpecification"]["metrics"]
    assert [metric["id"] for metric in metrics if metric["returnData"]] == ["backlog"]
    assert metrics[-1]["expression"] == BACKLOG
    assert [
        metric["metricStat"]["metric"]["metricName"] for metric in metrics if "metricStat" in metric
    ] == [
        "ApproximateNumberOfMessagesVisible",
        "ApproximateNumberOfMessagesNotVisible",
        "GroupInServiceInstances",
    ]


def test_moodles_workers_scale_by_cpu_since_its_tasks_are_in_the_database(record: Record) -> None:
    recorded = record(workers={"application": MOODLE}, files={})
    assert recorded.of_type(QUEUE) == {}
    assert "tiny-workers-cpu" in recorded.of_type(SCALING)
