"""AWS Step Functions: where a state machine may log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from cli.localcloud.provider.rules.base import Request, refuse_unless, rule

if TYPE_CHECKING:
    from cli.localcloud.provider.aws import Cloud

_CODE: Final = "InvalidLoggingConfiguration"


@rule("stepfunctions", "create_state_machine", "update_state_machine")
def logs_to_one_group(_: Cloud, request: Request) -> None:
    """API reference, LoggingConfiguration and CloudWatchLogsLogGroup."""
    logging = request.get("loggingConfiguration", {})
    if logging.get("level", "OFF") == "OFF" or "destinations" not in logging:
        return
    groups = [each.get("cloudWatchLogsLogGroup", {}) for each in logging["destinations"]]
    refuse_unless(len(groups) == 1, _CODE, f"{len(groups)} log destinations instead of one")
    for arn in [group["logGroupArn"] for group in groups if "logGroupArn" in group]:
        refuse_unless(arn.endswith(":*"), _CODE, f"the log group ARN {arn} must end with :*")
