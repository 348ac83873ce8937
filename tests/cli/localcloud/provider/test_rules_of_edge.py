"""Rules of AWS for what stands at the edge, each with a request that keeps it and a twin."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from cli.localcloud.provider.aws import AwsError, Cloud
from infra.firewall import front_rules
from infra.settings.firewall import FirewallSettings
from tests.cli.localcloud.provider.conftest import NOW, REGION

Request = dict[str, Any]
Change = Callable[[Request], object]

SCHEDULE: Request = {
    "Name": "s",
    "ScheduleExpression": "cron(0 6 ? * 2 *)",
    "ScheduleExpressionTimezone": "Europe/Stockholm",
    "StartDate": "2026-08-03T04:00:00Z",
    "EndDate": "2026-12-18T05:50:00Z",
    "FlexibleTimeWindow": {"Mode": "OFF"},
    "Target": {
        "Arn": "arn:aws:scheduler:::aws-sdk:elasticloadbalancingv2:modifyCapacityReservation",
        "RoleArn": "arn:aws:iam::123456789012:role/r",
        "Input": "{}",
    },
}
ACL: Request = {
    "Name": "a",
    "Scope": "REGIONAL",
    "DefaultAction": {"Allow": {}},
    "Rules": front_rules(FirewallSettings.model_validate({}), "MoodleSession"),
    "VisibilityConfig": {
        "SampledRequestsEnabled": False,
        "CloudWatchMetricsEnabled": True,
        "MetricName": "a",
    },
}
LOGGING: Request = {
    "LoggingConfiguration": {
        "ResourceArn": "arn:aws:wafv2:eu-north-1:123456789012:regional/webacl/a/1",
        "LogDestinationConfigs": ["arn:aws:logs:eu-north-1:1:log-group:aws-waf-logs-a"],
    }
}


def _list(*items: Any) -> Request:
    return {"Quantity": len(items), "Items": list(items)}


def _origin(name: str) -> Request:
    return {
        "Id": name,
        "DomainName": f"{name}.example.org",
        "S3OriginConfig": {"OriginAccessIdentity": ""},
    }


def _behaviour(target: str, *methods: str) -> Request:
    return {
        "TargetOriginId": target,
        "ViewerProtocolPolicy": "https-only",
        "AllowedMethods": _list(*methods),
    }


DISTRIBUTION: Request = {
    "DistributionConfig": {
        "CallerReference": "1",
        "Comment": "",
        "Enabled": True,
        "Aliases": _list("lms.example.org"),
        "Origins": _list(_origin("a"), _origin("b")),
        "OriginGroups": _list(
            {
                "Id": "both",
                "FailoverCriteria": {"StatusCodes": _list(502)},
                "Members": _list({"OriginId": "a"}, {"OriginId": "b"}),
            }
        ),
        "DefaultCacheBehavior": _behaviour("a", "GET", "HEAD", "POST"),
        "CacheBehaviors": _list({"PathPattern": "/p/*", **_behaviour("both", "GET", "HEAD")}),
        "ViewerCertificate": {
            "ACMCertificateArn": "arn:aws:acm:us-east-1:123456789012:certificate/1",
            "SSLSupportMethod": "sni-only",
        },
        "WebACLId": "arn:aws:wafv2:us-east-1:123456789012:global/webacl/a/1",
    }
}


def put(path: str, value: Any) -> Change:
    """Change one member of a request; None removes it."""

    def change(request: Request) -> None:
        *way, last = path.split(".")
        place: Any = request
        for part in way:
            place = place[int(part)] if isinstance(place, list) else place[part]
        if value is None:
            del place[last]
        else:
            place[last] = value

    return change


_IN: str = "DistributionConfig"
TWINS: list[tuple[str, str, Request, Change, str]] = [
    (
        "scheduler",
        "create_schedule",
        SCHEDULE,
        put("ScheduleExpression", "0 6 * * 1"),
        "ValidationException",
    ),
    (
        "scheduler",
        "create_schedule",
        SCHEDULE,
        put("ScheduleExpression", "cron(0 6 * * 2 *)"),
        "ValidationException",
    ),
    (
        "scheduler",
        "create_schedule",
        SCHEDULE,
        put("ScheduleExpressionTimezone", "Europe/Stokholm"),
        "ValidationException",
    ),
    (
        "scheduler",
        "create_schedule",
        SCHEDULE,
        put("StartDate", "2026-07-31T23:54:00Z"),
        "ValidationException",
    ),
    (
        "scheduler",
        "create_schedule",
        SCHEDULE,
        put("EndDate", "2026-07-31T23:59:00Z"),
        "ValidationException",
    ),
    (
        "scheduler",
        "update_schedule",
        SCHEDULE,
        put("EndDate", "2026-08-03T04:00:00Z"),
        "ValidationException",
    ),
    (
        "scheduler",
        "create_schedule",
        SCHEDULE,
        put("Target.Arn", "arn:aws:scheduler:::aws-sdk:elbv2:ModifyIt"),
        "ValidationException",
    ),
    ("scheduler", "create_schedule", SCHEDULE, put("Target.Input", "{"), "ValidationException"),
    ("wafv2", "create_web_acl", ACL, put("Scope", "CLOUDFRONT"), "WAFInvalidParameterException"),
    ("wafv2", "create_web_acl", ACL, put("Rules.1.Priority", 0), "WAFInvalidParameterException"),
    (
        "wafv2",
        "create_web_acl",
        ACL,
        put("Rules.1.Name", "address-blocked"),
        "WAFInvalidParameterException",
    ),
    (
        "wafv2",
        "create_web_acl",
        ACL,
        put("Rules.1.OverrideAction", {"None": {}}),
        "WAFInvalidParameterException",
    ),
    (
        "wafv2",
        "create_web_acl",
        ACL,
        put("Rules.0.Statement.RateBasedStatement.EvaluationWindowSec", 30),
        "WAFInvalidParameterException",
    ),
    (
        "wafv2",
        "create_web_acl",
        ACL,
        put("Rules.0.Statement.RateBasedStatement.AggregateKeyType", "CUSTOM_KEYS"),
        "WAFInvalidParameterException",
    ),
    (
        "wafv2",
        "put_logging_configuration",
        LOGGING,
        put(
            "LoggingConfiguration.LogDestinationConfigs",
            ["arn:aws:logs:eu-north-1:1:log-group:waf"],
        ),
        "WAFInvalidParameterException",
    ),
    (
        "cloudfront",
        "create_distribution",
        DISTRIBUTION,
        put(
            f"{_IN}.ViewerCertificate.ACMCertificateArn",
            "arn:aws:acm:eu-north-1:123456789012:certificate/1",
        ),
        "InvalidViewerCertificate",
    ),
    (
        "cloudfront",
        "create_distribution",
        DISTRIBUTION,
        put(f"{_IN}.ViewerCertificate", {"CloudFrontDefaultCertificate": True}),
        "InvalidViewerCertificate",
    ),
    (
        "cloudfront",
        "create_distribution",
        DISTRIBUTION,
        put(f"{_IN}.DefaultCacheBehavior.TargetOriginId", "c"),
        "NoSuchOrigin",
    ),
    (
        "cloudfront",
        "create_distribution",
        DISTRIBUTION,
        put(f"{_IN}.DefaultCacheBehavior.TargetOriginId", "both"),
        "InvalidArgument",
    ),
    (
        "cloudfront",
        "create_distribution",
        DISTRIBUTION,
        put(f"{_IN}.WebACLId", "arn:aws:wafv2:eu-north-1:123456789012:regional/webacl/a/1"),
        "InvalidWebACLId",
    ),
]


@pytest.fixture(autouse=True)
def now(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FIRSTBELL_HOME", str(tmp_path))
    (tmp_path / "local").mkdir()
    (tmp_path / "local" / "clock.json").write_text(json.dumps({"now": NOW, "generation": "test"}))


@pytest.mark.parametrize(
    ("service", "operation", "good", "change", "code"),
    TWINS,
    ids=[f"{operation}-{n}" for n, (_, operation, *_) in enumerate(TWINS)],
)
def test_a_request_that_aws_refuses_is_refused_with_its_code(
    service: str, operation: str, good: Request, change: Change, code: str
) -> None:
    cloud = Cloud("http://127.0.0.1:9", REGION)
    cloud.check(service, operation, good)
    bad = copy.deepcopy(good)
    change(bad)
    with pytest.raises(AwsError) as refused:
        cloud.check(service, operation, bad)
    assert refused.value.code == code
