"""Elastic Load Balancing: Application Load Balancers, target groups, listeners and their rules."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from cli.localcloud.provider.aws import Cloud
from cli.localcloud.provider.machine import Autoname, Live, Read, Row, Step, Tagging
from cli.localcloud.provider.mapping import to_api
from cli.localcloud.provider.values import Properties

_TAGS: Final = Tagging(
    add="add_tags",
    remove="remove_tags",
    key="ResourceArns",
    read=Read("describe_tags", "TagDescriptions[0].Tags", {"ResourceArns": "id"}),
)

# ---- Attributes: pairs of key and value beside the thing itself --------------------------------


def _at(state: Properties, path: str) -> Any:
    value: Any = state
    for part in path.split("."):
        value = value.get(part) if isinstance(value, Mapping) else None
    return value


def _attributes(names: Mapping[str, str], operation: str) -> Step:
    """The step that sets the attributes which stand behind these properties."""
    props = dict.fromkeys(path.split(".")[0] for path in names)

    def requests(_: Cloud, state: Properties, sent: frozenset[str]) -> list[dict[str, Any]]:
        pairs: list[dict[str, Any]] = []
        for path, key in names.items():
            value = _at(state, path)
            if path.split(".")[0] in sent and value is not None:
                pairs.append({"Key": key, "Value": _as_text(value)})
        return [{"Attributes": pairs}] if pairs else []

    return Step(operation, " ".join(props), build=requests)


def _as_text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value) if isinstance(value, int) else value


def _from_attributes(pairs: list[dict[str, str]], names: Mapping[str, str]) -> Live:
    """The live attributes as a tree under the properties' names."""
    values = {pair["Key"]: pair["Value"] for pair in pairs}
    result: Live = {}
    for path, key in names.items():
        if key in values:
            block, _, inner = path.rpartition(".")
            (result.setdefault(block, {}) if block else result)[inner] = values[key]
    return result


def _after(arn: str, word: str) -> str:
    return arn.partition(f":{word}")[2]


# ---- Load balancers --------------------------------------------------------------------------

_BALANCER_ATTRIBUTES: Final = {
    "accessLogs.enabled": "access_logs.s3.enabled",
    "accessLogs.bucket": "access_logs.s3.bucket",
    "accessLogs.prefix": "access_logs.s3.prefix",
    "connectionLogs.enabled": "connection_logs.s3.enabled",
    "connectionLogs.bucket": "connection_logs.s3.bucket",
    "connectionLogs.prefix": "connection_logs.s3.prefix",
    "clientKeepAlive": "client_keep_alive.seconds",
    "desyncMitigationMode": "routing.http.desync_mitigation_mode",
    "dropInvalidHeaderFields": "routing.http.drop_invalid_header_fields.enabled",
    "enableCrossZoneLoadBalancing": "load_balancing.cross_zone.enabled",
    "enableDeletionProtection": "deletion_protection.enabled",
    "enableHttp2": "routing.http2.enabled",
    "enableTlsVersionAndCipherSuiteHeaders": (
        "routing.http.x_amzn_tls_version_and_cipher_suite.enabled"
    ),
    "enableWafFailOpen": "waf.fail_open.enabled",
    "enableXffClientPort": "routing.http.xff_client_port.enabled",
    "enableZonalShift": "zonal_shift.config.enabled",
    "idleTimeout": "idle_timeout.timeout_seconds",
    "preserveHostHeader": "routing.http.preserve_host_header.enabled",
    "xffHeaderProcessingMode": "routing.http.xff_header_processing.mode",
}


def _new_balancer(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    request: dict[str, Any] = {
        "Scheme": "internal" if state.get("internal") else "internet-facing",
    }
    for prop, member in {
        "name": "Name",
        "loadBalancerType": "Type",
        "securityGroups": "SecurityGroups",
        "subnets": "Subnets",
        "ipAddressType": "IpAddressType",
    }.items():
        if state.get(prop) is not None:
            request[member] = state[prop]
    return [request]


def _read_balancer(cloud: Cloud, state: Properties) -> Live | None:
    arn = state["id"]
    balancer = cloud.call("elbv2", "describe_load_balancers", LoadBalancerArns=[arn])
    attributes = cloud.call("elbv2", "describe_load_balancer_attributes", LoadBalancerArn=arn)
    return balancer["LoadBalancers"][0] | _from_attributes(
        attributes["Attributes"], _BALANCER_ATTRIBUTES
    )


LOAD_BALANCER: Final = Row(
    type="aws:lb/loadBalancer:LoadBalancer",
    service="elbv2",
    create=Step(
        "create_load_balancer",
        "name internal loadBalancerType securityGroups subnets ipAddressType",
        build=_new_balancer,
    ),
    id="LoadBalancers[0].LoadBalancerArn",
    read=_read_balancer,
    key={"LoadBalancerArn": "id"},
    update=(
        Step("set_security_groups", "securityGroups"),
        Step("set_subnets", "subnets"),
        Step("set_ip_address_type", "ipAddressType"),
        _attributes(_BALANCER_ATTRIBUTES, "modify_load_balancer_attributes"),
    ),
    delete="delete_load_balancer",
    names={"arn": "LoadBalancerArn", "name": "LoadBalancerName", "loadBalancerType": "Type"},
    replace="name namePrefix internal loadBalancerType",
    defaults={
        "loadBalancerType": "application",
        "idleTimeout": 60,
        "enableHttp2": True,
        "enableDeletionProtection": False,
        "dropInvalidHeaderFields": False,
        "desyncMitigationMode": "defensive",
    },
    computed="internal ipAddressType securityGroups subnets enableCrossZoneLoadBalancing",
    reads={
        "internal": lambda balancer: balancer["Scheme"] == "internal",
        "subnets": "AvailabilityZones[].SubnetId",
        "zoneId": "CanonicalHostedZoneId",
        "arnSuffix": lambda balancer: _after(balancer["LoadBalancerArn"], "loadbalancer/"),
    },
    # The longest name of a load balancer.
    autoname=Autoname(max_length=32),
    tags=_TAGS,
)

# ---- Target groups ---------------------------------------------------------------------------

_TARGET_ATTRIBUTES: Final = {
    "deregistrationDelay": "deregistration_delay.timeout_seconds",
    "slowStart": "slow_start.duration_seconds",
    "loadBalancingAlgorithmType": "load_balancing.algorithm.type",
    "loadBalancingAnomalyMitigation": "load_balancing.algorithm.anomaly_mitigation",
    "loadBalancingCrossZoneEnabled": "load_balancing.cross_zone.enabled",
    "stickiness.enabled": "stickiness.enabled",
    "stickiness.type": "stickiness.type",
    "stickiness.cookieDuration": "stickiness.lb_cookie.duration_seconds",
    "stickiness.cookieName": "stickiness.app_cookie.cookie_name",
}
_HEALTH_CHECK: Final = {
    "enabled": "HealthCheckEnabled",
    "path": "HealthCheckPath",
    "port": "HealthCheckPort",
    "protocol": "HealthCheckProtocol",
    "interval": "HealthCheckIntervalSeconds",
    "timeout": "HealthCheckTimeoutSeconds",
    "healthyThreshold": "HealthyThresholdCount",
    "unhealthyThreshold": "UnhealthyThresholdCount",
}


def _health_check(state: Properties) -> dict[str, Any]:
    block = state.get("healthCheck") or {}
    request = {member: block[prop] for prop, member in _HEALTH_CHECK.items() if prop in block}
    return request | ({"Matcher": {"HttpCode": block["matcher"]}} if "matcher" in block else {})


def _new_target_group(_: Cloud, state: Properties, __: frozenset[str]) -> list[dict[str, Any]]:
    members = {
        "name": "Name",
        "port": "Port",
        "protocol": "Protocol",
        "protocolVersion": "ProtocolVersion",
        "vpcId": "VpcId",
        "targetType": "TargetType",
        "ipAddressType": "IpAddressType",
    }
    given = {member: state[prop] for prop, member in members.items() if prop in state}
    return [given | _health_check(state)]


def _read_target_group(cloud: Cloud, state: Properties) -> Live | None:
    arn = state["id"]
    answer = cloud.call("elbv2", "describe_target_groups", TargetGroupArns=[arn])
    group = answer["TargetGroups"][0]
    attributes = cloud.call("elbv2", "describe_target_group_attributes", TargetGroupArn=arn)
    check = {prop: group[member] for prop, member in _HEALTH_CHECK.items() if member in group}
    if matcher := group.get("Matcher", {}).get("HttpCode"):
        check["matcher"] = matcher
    tree = _from_attributes(attributes["Attributes"], _TARGET_ATTRIBUTES)
    return group | tree | {"healthCheck": check}


TARGET_GROUP: Final = Row(
    type="aws:lb/targetGroup:TargetGroup",
    service="elbv2",
    create=Step(
        "create_target_group",
        "name port protocol protocolVersion vpcId targetType ipAddressType healthCheck",
        build=_new_target_group,
    ),
    id="TargetGroups[0].TargetGroupArn",
    read=_read_target_group,
    key={"TargetGroupArn": "id"},
    update=(
        Step(
            "modify_target_group",
            "healthCheck",
            build=lambda _, state, __: [_health_check(state)],
        ),
        _attributes(_TARGET_ATTRIBUTES, "modify_target_group_attributes"),
    ),
    delete="delete_target_group",
    names={"arn": "TargetGroupArn", "name": "TargetGroupName"},
    replace="name namePrefix port protocol protocolVersion vpcId targetType ipAddressType",
    defaults={"deregistrationDelay": 300, "slowStart": 0, "targetType": "instance"},
    computed="healthCheck stickiness protocolVersion loadBalancingAlgorithmType ipAddressType "
    "loadBalancingAnomalyMitigation loadBalancingCrossZoneEnabled",
    # pulumi-aws keeps this flag of Lambda targets to itself.
    ignored="lambdaMultiValueHeadersEnabled proxyProtocolV2",
    reads={"arnSuffix": lambda group: group["TargetGroupArn"].rpartition(":")[2]},
    # The longest name of a target group.
    autoname=Autoname(max_length=32),
    tags=_TAGS,
)

# ---- Listeners and rules ---------------------------------------------------------------------

_ACTION_NAMES: Final = {
    "forward": "ForwardConfig",
    "fixedResponse": "FixedResponseConfig",
    "redirect": "RedirectConfig",
    "authenticateOidc": "AuthenticateOidcConfig",
    "authenticateCognito": "AuthenticateCognitoConfig",
    "defaultActions.forward.targetGroups.arn": "TargetGroupArn",
    "actions.forward.targetGroups.arn": "TargetGroupArn",
    "defaultActions.forward.stickiness": "TargetGroupStickinessConfig",
    "actions.forward.stickiness": "TargetGroupStickinessConfig",
    "duration": "DurationSeconds",
}

LISTENER: Final = Row(
    type="aws:lb/listener:Listener",
    service="elbv2",
    create="create_listener",
    id="Listeners[0].ListenerArn",
    read=Read("describe_listeners", "Listeners[0]", {"ListenerArns": "id"}),
    key={"ListenerArn": "id"},
    update=(Step("modify_listener"),),
    delete="delete_listener",
    names=_ACTION_NAMES | {"certificateArn": "Certificates", "arn": "ListenerArn"},
    replace="loadBalancerArn",
    computed="protocol sslPolicy mutualAuthentication",
    ordered="defaultActions",
    absent="certificateArn",
    reads={"certificateArn": "Certificates[0].CertificateArn"},
    tags=_TAGS,
)

_CONDITIONS: Final = {
    "hostHeader": ("host-header", "HostHeaderConfig"),
    "pathPattern": ("path-pattern", "PathPatternConfig"),
    "httpHeader": ("http-header", "HttpHeaderConfig"),
    "httpRequestMethod": ("http-request-method", "HttpRequestMethodConfig"),
    "sourceIp": ("source-ip", "SourceIpConfig"),
}


def _conditions(cloud: Cloud, state: Properties) -> list[dict[str, Any]]:
    shapes = cloud.input_shape("elbv2", "create_rule").members["Conditions"].member.members
    result: list[dict[str, Any]] = []
    for condition in state["conditions"]:
        for prop, (name, member) in _CONDITIONS.items():
            if block := condition.get(prop):
                mapped = to_api(block, shapes[member], {})
                result.append({"Field": name, member: mapped})
        if pairs := condition.get("queryStrings"):
            values = [{k.capitalize(): v for k, v in pair.items()} for pair in pairs]
            result.append({"Field": "query-string", "QueryStringConfig": {"Values": values}})
    return result


def _conditions_of(rule: Live) -> list[dict[str, Any]]:
    by_field = {name: (prop, member) for prop, (name, member) in _CONDITIONS.items()}
    result: list[dict[str, Any]] = []
    for condition in rule["Conditions"]:
        if condition["Field"] == "query-string":
            result.append({"queryStrings": condition["QueryStringConfig"]["Values"]})
        else:
            prop, member = by_field[condition["Field"]]
            # Rules that were made the old way show bare values.
            block = condition.get(member) or {"Values": condition.get("Values", [])}
            result.append({prop: block})
    return result


def _actions(cloud: Cloud, state: Properties) -> list[dict[str, Any]]:
    shape = cloud.input_shape("elbv2", "create_rule").members["Actions"]
    return to_api(state["actions"], shape, _ACTION_NAMES, "actions")


def _free_priority(cloud: Cloud, listener: str) -> int:
    """pulumi-aws takes the next after the highest when none is given."""
    rules = cloud.call("elbv2", "describe_rules", ListenerArn=listener)["Rules"]
    taken = [int(rule["Priority"]) for rule in rules if rule["Priority"] != "default"]
    return max(taken, default=0) + 1


def _new_rule(cloud: Cloud, state: Properties, _: frozenset[str]) -> list[dict[str, Any]]:
    listener, priority = state["listenerArn"], state.get("priority")
    if priority is None and isinstance(listener, str):
        priority = _free_priority(cloud, listener)
    request = {
        "ListenerArn": listener,
        "Conditions": _conditions(cloud, state),
        "Actions": _actions(cloud, state),
    }
    return [request | ({} if priority is None else {"Priority": priority})]


LISTENER_RULE: Final = Row(
    type="aws:lb/listenerRule:ListenerRule",
    service="elbv2",
    create=Step("create_rule", "listenerArn priority conditions actions", build=_new_rule),
    id="Rules[0].RuleArn",
    read=Read("describe_rules", "Rules[0]", {"RuleArns": "id"}),
    key={"RuleArn": "id"},
    update=(
        Step(
            "modify_rule",
            "conditions actions",
            build=lambda cloud, state, _: [
                {"Conditions": _conditions(cloud, state), "Actions": _actions(cloud, state)}
            ],
        ),
        Step(
            "set_rule_priorities",
            "priority",
            key={},
            build=lambda _, state, __: [
                {"RulePriorities": [{"RuleArn": state["id"], "Priority": state["priority"]}]}
            ],
        ),
    ),
    delete="delete_rule",
    names=_ACTION_NAMES | {"arn": "RuleArn"},
    replace="listenerArn",
    computed="priority",
    ordered="actions",
    reads={
        "conditions": _conditions_of,
        "listenerArn": lambda rule: (
            rule["RuleArn"].replace(":listener-rule/", ":listener/").rpartition("/")[0]
        ),
    },
    tags=_TAGS,
)

ROWS: Final = (LOAD_BALANCER, TARGET_GROUP, LISTENER, LISTENER_RULE)
