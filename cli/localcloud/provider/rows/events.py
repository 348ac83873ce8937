"""Amazon EventBridge: rules that match events, and where they send them."""

from __future__ import annotations

from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Live, Read, Row, Step
from cli.localcloud.provider.mapping import to_api
from cli.localcloud.provider.rows.cloudwatch import TAGS
from cli.localcloud.provider.values import UNKNOWN, Properties

_DEFAULT_BUS: Final = "default"


def _of_bus(state: Properties, id: str) -> str:
    """pulumi-aws's ids name the bus where it is not the account's own."""
    bus = state.get("eventBusName", _DEFAULT_BUS)
    return id if bus == _DEFAULT_BUS else f"{bus}/{id}"


RULE: Final = Row(
    type="aws:cloudwatch/eventRule:EventRule",
    service="events",
    create=Step(
        "put_rule", "name eventBusName description eventPattern roleArn scheduleExpression state"
    ),
    id=lambda state: _of_bus(state, state["name"]),
    read=Read("describe_rule", "@", {"Name": "name", "EventBusName": "eventBusName"}),
    key={"Name": "name", "EventBusName": "eventBusName"},
    # What an update leaves out is gone.
    update=(
        Step("put_rule", "description eventPattern roleArn scheduleExpression state", whole=True),
    ),
    delete="delete_rule",
    replace="name namePrefix eventBusName",
    defaults={"eventBusName": _DEFAULT_BUS, "forceDestroy": False, "state": "ENABLED"},
    ignored="forceDestroy",
    absent="description eventPattern roleArn scheduleExpression",
    cleared={
        "description": None,
        "eventPattern": None,
        "roleArn": None,
        "scheduleExpression": None,
    },
    documents="eventPattern",
    autoname=Autoname(max_length=64),
    tags=TAGS,
)

_TARGET_NAMES: Final = {
    "targetId": "Id",
    "inputTransformer.inputPaths": "InputPathsMap",
    "retryPolicy.maximumEventAgeInSeconds": "MaximumEventAgeInSeconds",
}
_OF_TARGETS: Final = (
    "targetId arn roleArn input inputPath inputTransformer deadLetterConfig retryPolicy"
)


def _put_target(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    """The whole target: what is left out of a request is gone."""
    shape = cloud.input_shape("events", "put_targets").members["Targets"].member
    given = {prop: state[prop] for prop in _OF_TARGETS.split() if state.get(prop) is not None}
    return [
        {
            "Rule": state.get("rule", UNKNOWN),
            "EventBusName": state.get("eventBusName", _DEFAULT_BUS),
            "Targets": [to_api(given, shape, _TARGET_NAMES)],
        }
    ]


def _own(answer: dict[str, Any], state: Properties) -> Live | None:
    found = (target for target in answer["Targets"] if target["Id"] == state["targetId"])
    return next(found, None)


_OF_RULE: Final = {"Rule": "rule", "EventBusName": "eventBusName"}

TARGET: Final = Row(
    type="aws:cloudwatch/eventTarget:EventTarget",
    service="events",
    create=Step("put_targets", f"rule eventBusName {_OF_TARGETS}", build=_put_target),
    id=lambda state: _of_bus(state, f"{state['rule']}-{state['targetId']}"),
    read=Read("list_targets_by_rule", _own, _OF_RULE),
    key=_OF_RULE,
    update=(Step("put_targets", _OF_TARGETS, whole=True, build=_put_target),),
    delete=Step("remove_targets", key={**_OF_RULE, "Ids": "targetId"}),
    names=_TARGET_NAMES,
    replace="rule eventBusName targetId",
    defaults={"eventBusName": _DEFAULT_BUS, "forceDestroy": False},
    ignored="forceDestroy",
    absent="roleArn input inputPath inputTransformer deadLetterConfig retryPolicy",
    cleared={"roleArn": None, "input": None, "inputPath": None},
    autoname=Autoname(prop="targetId", max_length=64),
)

ROWS: Final = (RULE, TARGET)
