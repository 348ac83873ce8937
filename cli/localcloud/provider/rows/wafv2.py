"""AWS WAF: web ACLs with their rules as JSON, what they guard and where they log."""

from __future__ import annotations

import json
from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Live, Read, Row, Step, Tagging
from cli.localcloud.provider.mapping import to_api
from cli.localcloud.provider.values import UNKNOWN, Properties, Unknown

_ACL: Final = (
    "defaultAction visibilityConfig description tokenDomains challengeConfig captchaConfig "
    "customResponseBodies associationConfig"
)


def _acl(cloud: Cloud, state: Properties) -> dict[str, Any]:
    shape = cloud.input_shape("wafv2", "create_web_acl")
    request = {
        prop[0].upper() + prop[1:]: to_api(
            state[prop], shape.members[prop[0].upper() + prop[1:]], {}
        )
        for prop in _ACL.split()
        if state.get(prop)
    }
    rules = state.get("ruleJson")
    if rules is not None:
        request["Rules"] = UNKNOWN if isinstance(rules, Unknown) else json.loads(rules)
    return request | {"Name": state["name"], "Scope": state["scope"]}


def _changed_acl(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    live = _look_at_acl(cloud, state)
    return [_acl(cloud, state) | {"Id": state["id"], "LockToken": live["LockToken"]}]


def _look_at_acl(cloud: Cloud, state: Properties) -> Live:
    return cloud.call(
        "wafv2", "get_web_acl", Name=state["name"], Scope=state["scope"], Id=state["id"]
    )


def _read_acl(cloud: Cloud, state: Properties) -> Live | None:
    found = _look_at_acl(cloud, state)
    # What is searched for comes as bytes.
    rules = json.dumps(found["WebACL"].get("Rules", []), sort_keys=True, default=bytes.decode)
    scope = {"Scope": state["scope"], "LockToken": found["LockToken"]}
    return found["WebACL"] | scope | {"ruleJson": rules}


def _delete_acl(cloud: Cloud, state: Properties, _: frozenset[str]) -> None:
    key = {"Name": state["name"], "Scope": state["scope"], "Id": state["id"]}
    token = _look_at_acl(cloud, state)["LockToken"]
    cloud.call("wafv2", "delete_web_acl", **key, LockToken=token)


WEB_ACL: Final = Row(
    type="aws:wafv2/webAcl:WebAcl",
    service="wafv2",
    create=Step(
        "create_web_acl",
        f"name scope ruleJson {_ACL}",
        build=lambda cloud, state, _: [_acl(cloud, state)],
    ),
    id="Summary.Id",
    read=_read_acl,
    key={},
    update=(Step("update_web_acl", f"ruleJson {_ACL}", build=_changed_acl, whole=True),),
    delete=Step(run=_delete_acl),
    replace="name namePrefix scope",
    documents="ruleJson",
    # Shown as JSON here.
    reads={"rules": lambda _: None, "ruleJson": "ruleJson"},
    computed="description",
    volatile="lockToken",
    autoname=Autoname(max_length=128),
    tags=Tagging(
        "tag_resource",
        "untag_resource",
        key="ResourceARN",
        read=Read("list_tags_for_resource", "TagInfoForResource.TagList", {"ResourceARN": "arn"}),
    ),
)


def _read_association(cloud: Cloud, state: Properties) -> Live | None:
    resource = state["resourceArn"]
    found = cloud.call("wafv2", "get_web_acl_for_resource", ResourceArn=resource).get("WebACL")
    return {"ResourceArn": resource, "webAclArn": found["ARN"]} if found else None


WEB_ACL_ASSOCIATION: Final = Row(
    type="aws:wafv2/webAclAssociation:WebAclAssociation",
    service="wafv2",
    create="associate_web_acl",
    id="={webAclArn},{resourceArn}",
    read=_read_association,
    key={"ResourceArn": "resourceArn"},
    delete="disassociate_web_acl",
    names={"webAclArn": "WebACLArn"},
    reads={"webAclArn": "webAclArn"},
    replace="webAclArn resourceArn",
    delete_first=True,
)

_LOGGING: Final = "resourceArn logDestinationConfigs redactedFields loggingFilter"


def _logging(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    shape = cloud.input_shape("wafv2", "put_logging_configuration").members["LoggingConfiguration"]
    given = {prop: state[prop] for prop in _LOGGING.split() if state.get(prop)}
    return [{"LoggingConfiguration": to_api(given, shape, {})}]


WEB_ACL_LOGGING: Final = Row(
    type="aws:wafv2/webAclLoggingConfiguration:WebAclLoggingConfiguration",
    service="wafv2",
    create=Step("put_logging_configuration", _LOGGING, build=_logging),
    id="={resourceArn}",
    read=Read("get_logging_configuration", "LoggingConfiguration", {"ResourceArn": "resourceArn"}),
    key={"ResourceArn": "resourceArn"},
    update=(Step("put_logging_configuration", _LOGGING, build=_logging, key={}),),
    delete="delete_logging_configuration",
    replace="resourceArn",
)


ROWS: Final = (WEB_ACL, WEB_ACL_ASSOCIATION, WEB_ACL_LOGGING)
