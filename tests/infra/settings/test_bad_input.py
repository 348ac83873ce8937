"""Each wrong setting that a reasonable person could write: one error with key, value, rule, fix.

Others of that kind are beside what they concern: exceptions without expiry in
`tests/infra/policy/test_exceptions.py`, certificates in `tests/infra/checks`, staging against the
season in `tests/infra/season/test_capacity.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from pydantic import BaseModel

from infra.errors import Problem, Problems
from infra.settings.base import WITHOUT_RULES
from infra.settings.partly import example
from infra.settings.platform import PlatformSettings
from infra.settings.stack import read_stack
from infra.validation import models_in
from tests.conftest import WriteStack


def problems(write_stack: WriteStack, **platform: Any) -> list[Problem]:
    write_stack(**{"firstbell:platform": {"domain": "lms.example.org"} | platform})
    with pytest.raises(Problems) as caught:
        read_stack("tiny")
    assert caught.value.exit_code == 2
    return list(caught.value.problems)


@pytest.mark.parametrize(
    ("platform", "key", "said", "fix"),
    [
        ({"teirs": {}}, "teirs", "unknown key 'teirs'", "did you mean 'tiers'?"),
        (
            {"tiers": {"web": {"instance_types": ["m7i.lrage"]}}},
            "tiers/web/instance_types",
            "'m7i.lrage' is no known instance type",
            "did you mean 'm7i.large'?",
        ),
        (
            {"database": {"engine": "aurora-mysq"}},
            "database/engine",
            "not 'aurora-mysq'",
            "mysql'?",
        ),
        (
            {"tiers": {"web": {}, "api": {}}},
            "tiers",
            "exactly one tier takes what no other claims (no hosts, no paths), not 2: api, web",
            "give hosts or paths to all but one",
        ),
        (
            {"tiers": {"web": {}, "a": {"hosts": ["x.org"]}, "b": {"hosts": ["X.org"]}}},
            "tiers/b",
            "claims the same hosts and paths as a (x.org)",
            "takes_requests: false",
        ),
        (
            {"tiers": {"web": {"min": 9, "max": 3}}},
            "tiers/web",
            "min 9 is greater than max 3",
            "lower min or raise max",
        ),
        (
            {"database": {"replicas": {"max": 16}}},
            "database/replicas/max",
            "less than or equal to 15, not 16",
            "write 15 or less",
        ),
        (
            {"database": {"engine": "aurora-mysql", "instance_class": "db.m5.large"}},
            "database/instance_class",
            "'db.m5.large' is no known aurora-mysql instance class",
            "did you mean",
        ),
        (
            {"database": {"proxy": True, "version": "11"}},
            "database",
            "proxy: AWS has no RDS Proxy for aurora-postgresql 11",
            "proxy: false",
        ),
        ({"network": {"zones": "three"}}, "network/zones", "not 'three'", "write a whole number"),
        (
            {"tiers": {"web": {}, "a": {"hosts": ["a.example.org:443"]}}},
            "tiers/a/hosts",
            "'a.example.org:443' is no host that a listener rule takes",
            "without scheme, port and path",
        ),
        *(
            (
                {"tiers": {"web": {}, "a": {"hosts": [host]}}},
                "tiers/a/hosts",
                f"{host!r} is no host that a listener rule takes",
                "school.example.org",
            )
            for host in ("lms.example.*", "10.0.0.1", "a.b?", "lms", ".org")
        ),
        (
            {"database": {"slow_query_milliseconds": 3_600_001}},
            "database/slow_query_milliseconds",
            "not 3600001",
            "write 3,600,000 or less",
        ),
        (
            {"tiers": {"web": {}, "a": {"paths": ["api/*"]}}},
            "tiers/a/paths",
            "'api/*' is no path that a listener rule could match",
            "/api/*",
        ),
        (
            {"tiers": {"web": {"application": "moodel"}}},
            "tiers/web/application",
            "'moodel'",
            "did you mean 'moodle'?",
        ),
        (
            {"domain": "https://lms.example.org/"},
            "domain",
            "not 'https://lms.example.org/'",
            "write one such as lms.example.org",
        ),
        *(
            ({"domain": domain}, "domain", f"not {domain!r}", "write one such as lms.example.org")
            for domain in ("lms..example.org", "lms-.example.org", "lms.example.org:443", "lms")
        ),
        (
            {"network": {"cidr": "127.0.0.0/16"}},
            "network/cidr",
            "lies in 127.0.0.0/8, which no VPC may have",
            "write one such as 10.20.0.0/16",
        ),
        (
            {"files": {"access_points": {"m": {"path": "/m", "permissions": 0o750}}}},
            "files/access_points/m/permissions",
            "not 488",
            'write one such as "0750"',
        ),
        (
            {"network": {"cidr": "10.0.0.1/16"}},
            "network/cidr",
            "10.0.0.1/16 has host bits set",
            "write one such as 10.20.0.0/16",
        ),
        (
            {"observability": {"monthly_limit_usd": -5}},
            "observability/monthly_limit_usd",
            "greater than 0, not -5",
            "write more than 0",
        ),
        (
            {"observability": {"emails": "ops@example.org"}},
            "observability/emails",
            "must be a list, not 'ops@example.org'",
            "write [ops@example.org]",
        ),
        (
            {"observability": {"monthly_limit_usd": "9k"}},
            "observability/monthly_limit_usd",
            "not '9k'",
            "write a number",
        ),
        ({"database": "aurora"}, "database", "not 'aurora'", "write the keys below it"),
        (
            {"database": {"version": "61"}},
            "database/version",
            "'61' is no known aurora-postgresql version",
            "14, 15, 16, 17",
        ),
        (
            {"database": {"engine": "aurora-mysql", "version": "9.9"}},
            "database/version",
            "'9.9' is no known aurora-mysql version",
            "take one of 5.7, 8.0, ",
        ),
        (
            {"database": {"name": "my-lms"}},
            "database/name",
            "not 'my-lms'",
            "write one such as my_lms",
        ),
        (
            {"tiers": {"web": {"health_path": "health"}}},
            "tiers/web/health_path",
            "not 'health'",
            "write one such as /health",
        ),
        ({"tiers": {"Web": {}}}, "tiers/Web", "not 'Web'", "write it in that form"),
        (
            {"tiers": {"web": {"application": {"kind": "moodle", "sha256": "0" * 64}}}},
            "tiers/web/application/version",
            "is missing",
            "add it, such as 4.5.8",
        ),
        (
            {"owner": "Teaching & Co"},
            "owner",
            "not 'Teaching & Co'",
            "write one such as platform-team",
        ),
        *(
            ({"tiers": {"web": {key: True}}}, f"tiers/web/{key}", "true or false", "write a number")
            for key in ("min", "max", "boot_minutes")
        ),
        (
            {"workers": {"jobs": {"imports": {"max": True}}}},
            "workers/jobs/imports/max",
            "must be a number, not true or false",
            "write a number",
        ),
        ({"cache": None, "backup": None}, "backup", "has no value", "or leave the key out"),
        ({"tiers": {"web": {"drain_seconds": None}}}, "tiers/web/drain_seconds", "no value", "one"),
        ({"tiers": {"web": {"max": float("inf")}}}, "tiers/web/max", "not inf", "that has an end"),
        ({"tiers": {1: {}}}, "tiers/1", "a name must be a text, not 1", "write it in quotes"),
        ({"tiers": {None: {}}}, "tiers/None", "a name must be a text", "write it in quotes"),
        ({"tiers": {"web-": {}}}, "tiers/web-", "not 'web-'", "write it in that form"),
        (
            {"tiers": {"web": {"application": {}}}},
            "tiers/web/application/kind",
            "is missing",
            "write one of generic, moodle",
        ),
        (
            {"tiers": {"web": {"application": ["moodle"]}}},
            "tiers/web/application",
            "must be a mapping",
            "write the keys below it",
        ),
        (
            {"tiers": {"web": {"protocol": "https"}}},
            "tiers/web/protocol",
            "not 'https'",
            "did you mean 'HTTPS'?",
        ),
        (
            {"tiers": {"web": {"instance_types": ["M7i.Large"]}}},
            "tiers/web/instance_types",
            "'M7i.Large' is no known instance type",
            "did you mean 'm7i.large'?",
        ),
        *(
            (
                {"tiers": {"web": {}, "a": tier}},
                "tiers/a",
                f"{value} stands there twice",
                "leave one out",
            )
            for tier, value in (
                ({"hosts": ["a.example.org", "A.example.org"]}, "a.example.org"),
                ({"paths": ["/a", "/a"]}, "/a"),
            )
        ),
        *(
            (
                {"tiers": {"web": {}, "a": {"paths": ["/a", path]}}},
                "tiers/a",
                f"{path} is every request",
                "name hosts as well",
            )
            for path in ("/*", "*")
        ),
        *(
            (
                {"tiers": {"web": {"health_path": path}}},
                "tiers/web/health_path",
                "not '/",
                "write one such as /health" if len(path) < 9 else "shorten it",
            )
            for path in ("/a b", "/hëalth", "/" + 1024 * "a")
        ),
        (
            {"tiers": {"web": {"image": "ami-012345678"}}},
            "tiers/web/image",
            "17 digits and letters a to f",
            "write one such as ami-0123456789abcdef0",
        ),
        (
            {"domain": f"{'a.' * 130}org"},
            "domain",
            "at most 253 characters",
            "shorten it",
        ),
        (
            {"domain": f"{'a' * 64}.org"},
            "domain",
            "not 'aaaa",
            "write one such as lms.example.org",
        ),
        (
            {"domain": f"{'a' * 53}.example.org"},
            "domain",
            "has 65 characters, and the first name of a certificate",
            "give certificate_arn",
        ),
        *(
            (
                {"edge": {"static_paths": [path]}},
                "edge/static_paths",
                "is no pattern that CloudFront takes",
                "/theme/*",
            )
            for path in ("/a b", "/é", "/" + 255 * "a")
        ),
        (
            {"edge": {"default_root_object": "the index.html"}},
            "edge/default_root_object",
            "not 'the index.html'",
            "write one such as index.php",
        ),
        (
            {"firewall": {"unchallenged_paths": ["/" + 200 * "a"]}},
            "firewall/unchallenged_paths",
            "longer than the 200 bytes",
            "shorten it",
        ),
        *(
            (
                {"database": {"engine": engine, key: word}},
                "database",
                f"{key} {word!r} is a",
                "choose another",
            )
            for engine, key, word in (
                ("aurora-postgresql", "name", "postgres"),
                ("aurora-postgresql", "name", "order"),
                ("aurora-postgresql", "admin_user", "user"),
                ("aurora-mysql", "name", "mysql"),
                ("aurora-mysql", "admin_user", "schema"),
            )
        ),
        (
            {"database": {"engine": "aurora-mysql", "admin_user": "a" * 17}},
            "database",
            "has 17 characters, and aurora-mysql takes 16",
            "shorten it",
        ),
        (
            {"database": {"parameters": {"work mem": "1"}}},
            "database",
            "'work mem' is no name of a parameter",
            "rds.logical_replication",
        ),
        (
            {"database": {"instance_class": "db.serverless"}},
            "database",
            "scales by itself within bounds that firstbell has no setting for",
            "db.r6g.large",
        ),
        (
            {"observability": {"emails": ["ops@example.org", "OPS@example.org"]}},
            "observability/emails",
            "an address stands there twice",
            "name each once",
        ),
        (
            {"observability": {"monthly_limit_usd": float("inf")}},
            "observability/monthly_limit_usd",
            "not inf",
            "write a number that has an end",
        ),
        ({"database": {"proxy": "maybe"}}, "database/proxy", "not 'maybe'", "write true or false"),
        (
            {"network": {"nat": "singel"}},
            "network/nat",
            "'zone' or 'single', not 'singel'",
            "did you mean 'single'?",
        ),
    ],
)
def test_one_error_each_with_key_value_rule_and_fix(
    write_stack: WriteStack, platform: dict[str, Any], key: str, said: str, fix: str
) -> None:
    (problem,) = problems(write_stack, **platform)
    assert problem.where == f"firstbell:platform/{key}"
    assert said in problem.what
    assert problem.fix is not None
    assert fix in problem.fix


def test_what_is_wrong_between_parts_is_told_beside_what_is_wrong_in_one(
    write_stack: WriteStack,
) -> None:
    """A wrong setting hides no other, and brings none along that nobody wrote."""
    found = problems(
        write_stack,
        tiers={
            "web": {"min": 5, "max": 4},
            "a": {"paths": ["/x"], "instance_types": ["m7i.lrage"]},
            "b": {"paths": ["/x"], "mni": 2},
        },
        database={"version": "sixteen", "instance_class": "db.m5.large"},
        network={"zones": 9},
        workers={"jobs": {"cache": {}}},
    )
    assert sorted(problem.where.removeprefix("firstbell:platform/") for problem in found) == [
        "database",
        "database/instance_class",
        "network/zones",
        "tiers/a/instance_types",
        "tiers/b",
        "tiers/b/mni",
        "tiers/web",
        "workers/jobs/cache",
    ]


def test_names_and_words_that_are_just_right_are_taken(write_stack: WriteStack) -> None:
    """The twins of what is refused above."""
    platform = {
        "domain": f"{'a' * 52}.example.org",
        "tiers": {
            "web": {"health_path": "/" + 1023 * "a", "image": "ami-01234567"},
            "all-of-one": {"hosts": ["a.example.org"], "paths": ["/*"], "min": "2"},
        },
        "edge": {"static_paths": ["/" + 254 * "a"]},
        "firewall": {"unchallenged_paths": ["/" + 199 * "a"]},
        "database": {"engine": "aurora-mysql", "admin_user": "a" * 16, "name": "orders"},
    }
    write_stack(**{"firstbell:platform": platform})
    assert read_stack("tiny").platform.tiers["all-of-one"].min == 2


def test_a_key_that_is_no_text_is_told(write_stack: WriteStack) -> None:
    """YAML takes a bare number or `on` for something else."""
    write_stack(**{"firstbell:platform": {"domain": "lms.example.org", 2: 2, True: {}}})
    with pytest.raises(Problems) as caught:
        read_stack("tiny")
    assert {problem.fix for problem in caught.value.problems} == {
        "write it in quotes, or take it out"
    }


def test_what_is_very_long_is_shown_in_part(write_stack: WriteStack) -> None:
    (found,) = problems(write_stack, owner="a" * 3000)
    assert len(found.what) < 250
    assert "(3,002 characters)" in found.what


def test_an_unknown_cloud_does_not_make_anything_else_missing(write_stack: WriteStack) -> None:
    write_stack(**{"firstbell:cloud": "azure"})
    with pytest.raises(Problems) as caught:
        read_stack("tiny")
    (found,) = caught.value.problems
    assert str(found) == "firstbell:cloud: must be local or aws, not 'azure' (write one of them)"


def test_a_setting_without_default_hides_nothing_where_it_is_wrong(write_stack: WriteStack) -> None:
    found = problems(write_stack, domain=5, tiers={"a": {}, "b": {}}, dns={"zone_id": "Z0"})
    assert [problem.where.removeprefix("firstbell:platform/") for problem in found] == [
        "domain",
        "dns/zone",
        "tiers",
    ]


def test_a_platform_that_is_no_mapping_is_one_error(write_stack: WriteStack) -> None:
    write_stack(**{"firstbell:platform": ["domain"]})
    with pytest.raises(Problems) as caught:
        read_stack("tiny")
    (found,) = caught.value.problems
    assert found.where == "firstbell:platform"


def test_each_setting_without_default_has_a_value_to_stand_in_for_it() -> None:
    """While the rest of a file is read, in which it is wrong."""
    needed = [
        (model, name, field)
        for model in set(models(PlatformSettings))
        for name, field in model.model_fields.items()
        if field.is_required() and name != "kind"
    ]
    assert len(needed) >= 5
    for model, name, field in needed:
        others = {each: example(found) for _, each, found in needed if each in model.model_fields}
        kind = {"kind": "moodle"} if "kind" in model.model_fields else {}
        model.model_validate(kind | others | {name: example(field)}, context=WITHOUT_RULES)


def models(model: type[BaseModel]) -> Iterator[type[BaseModel]]:
    yield model
    for field in model.model_fields.values():
        for below in models_in(field.annotation):
            yield from models(below)
