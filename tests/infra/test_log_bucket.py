"""The load balancer's access logs go to a bucket that lets them in, and nobody without TLS."""

from __future__ import annotations

from tests.infra.conftest import Record


def test_the_balancer_logs_to_the_closed_bucket_once_it_is_let_in(record: Record) -> None:
    made = record(balancer={"access_log_days": 30})
    (balancer,) = made.of_type("aws:lb/loadBalancer:LoadBalancer").values()
    assert balancer["accessLogs"]["enabled"] is True
    assert balancer["accessLogs"]["prefix"] == "balancer"
    assert "BucketPolicy::tiny-logs" in made.dependencies("LoadBalancer::tiny")
    block = made.of_type("aws:s3/bucketPublicAccessBlock:BucketPublicAccessBlock")["tiny-logs"]
    assert all(block[flag] for flag in ("blockPublicAcls", "restrictPublicBuckets"))
    kind = "aws:s3/bucketLifecycleConfiguration:BucketLifecycleConfiguration"
    (rule,) = made.of_type(kind)["tiny-logs"]["rules"]
    assert rule["expiration"]["days"] == 30
