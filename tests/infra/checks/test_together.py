"""Several errors of a file are told together: an error in one part hides none in another."""

from __future__ import annotations

import copy
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from itertools import combinations
from typing import Any, Final

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.checks import examine
from infra.errors import Problem, Problems
from infra.settings.stack import StackSettings, UnsoundStack, from_config

PLATFORM: Final = "firstbell:platform"
SOUND: Final[Mapping[str, Any]] = {
    "aws:region": "eu-north-1",
    PLATFORM: {
        "domain": "lms.example.org",
        "dns": {"zone": "example.org", "zone_id": "Z0123456789"},
        "tiers": {"web": {"max": 20}, "api": {"paths": ["/api/*"]}, "own": {"paths": ["/own/*"]}},
        "workers": {"jobs": {"imports": {}}},
        "database": {},
        "cache": {},
        "files": {},
        "observability": {"emails": ["ops@example.org"], "monthly_limit_usd": 4000},
    },
}
IDLE = {"connections_per_worker": 0, "workers_per_instance": 1}

# Each mistake, what is written for it (below `firstbell:platform`, where no namespace stands), and
# by key what is said of it.
MISTAKES: Final[Mapping[str, tuple[dict[str, Any], dict[str, str]]]] = {
    "an unknown key": ({"tiers": {"own": {"mni": 2}}}, {"tiers/own/mni": "did you mean 'min'?"}),
    "a Region that is none": (
        {"aws:region": "Stockholm"},
        {"aws:region": "'Stockholm' is no known Region"},
    ),
    "a season that is no path": (
        {"firstbell:season": ["autumn"]},
        {"firstbell:season": "must be a path relative to stacks/"},
    ),
    "an unknown part": ({"acount": {}}, {"acount": "did you mean 'account'?"}),
    "an unknown type": (
        {"workers": {"instance_types": ["m7i.lrage"]}},
        {"workers/instance_types": "'m7i.lrage' is no known instance type"},
    ),
    "a tier without host or path": (
        {"tiers": {"second": {"max": 2}}},
        {"tiers": "exactly one tier takes what no other claims"},
    ),
    "two tiers with the same rule": (
        {"tiers": {"copy": {"paths": ["/api/*"], "max": 2}}},
        {"tiers/copy": "claims the same hosts and paths as api (/api/*)"},
    ),
    "min above max": (
        {"tiers": {"less": {"paths": ["/less/*"], "min": 9, "max": 3}}},
        {"tiers/less": "min 9 is greater than max 3"},
    ),
    "replicas over 15": (
        {"database": {"replicas": {"max": 16}}},
        {"database/replicas/max": "less than or equal to 15, not 16"},
    ),
    "a class that the engine does not offer": (
        {"database": {"instance_class": "db.m5.large"}},
        {"database/instance_class": "'db.m5.large' is no known aurora-postgresql instance class"},
    ),
    "a proxy that the engine has not": (
        {"database": {"proxy": True, "version": "11"}},
        {"database": "proxy: AWS has no RDS Proxy for aurora-postgresql 11"},
    ),
    "an e-mail that is none": (
        {"observability": {"emails": ["ops@example.org", "caretaker"]}},
        {"observability/emails": "'caretaker' is no e-mail address"},
    ),
    "a certificate for another domain": (
        {"tiers": {"net": {"hosts": ["lms.example.net"], "max": 2}}},
        {"tiers/net/hosts": "lms.example.net is not in the zone example.org"},
    ),
    "connections beyond max_connections": (
        {
            "tiers": {"many": {"paths": ["/many/*"], "max": 500}},
            "database": {"max_connections": 900},
        },
        {"tiers/many/max": "and aurora-postgresql on db."},
    ),
    "a quota passed": (
        {"quotas": {"elastic_ips": 1}},
        {"network/nat": "the quota 'EC2-VPC Elastic IPs' is 1"},
    ),
    "a quota passed by one tier": (
        {"tiers": {"full": {"paths": ["/full/*"], "max": 950} | IDLE}},
        {"tiers/full/max": "the tiers have "},
    ),
    "a network too small": (
        {"network": {"cidr": "10.0.0.0/25"}},
        {"network": "cidr 10.0.0.0/25 is too small"},
    ),
    "a number that is none": ({"backup": {"hour": "two"}}, {"backup/hour": "not 'two'"}),
    "a part of the wrong shape": ({"firewall": "on"}, {"firewall": "must be a mapping"}),
    "an empty part": ({"balancer": None}, {"balancer": "has no value"}),
    "a required key that is missing": (
        {"files": {"access_points": {"own": {}}}},
        {"files/access_points/own/path": "is missing"},
    ),
    "a Moodle without a checksum": (
        {"workers": {"jobs": {"cron": {"application": {"kind": "moodle", "version": "4.5.8"}}}}},
        {"workers/jobs/cron/application/sha256": "is missing"},
    ),
    "a name of the season": (
        {"workers": {"jobs": {"database": {}}}},
        {"workers/jobs/database": "a season's own name"},
    ),
    "a name that AWS does not take": (
        {"tiers": {"Capital": {"paths": ["/capital/*"], "max": 2}}},
        {"tiers/Capital": "'Capital'"},
    ),
    "a name too long": (
        {"tiers": {"fifteen-letters": {"paths": ["/15/*"], "max": 2}}},
        {"tiers/fifteen-letters": "have more than 23 characters"},
    ),
    "a cache that cannot scale": (
        {"cache": {"replicas": {"max": 3}}},
        {"cache": "replicas only with cluster mode"},
    ),
}


def merged(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """Both, at every depth."""
    found = dict(one)
    for key, value in other.items():
        before = found.get(key)
        found[key] = merged(before, value) if isinstance(before, dict) and value else value
    return copy.deepcopy(found)


def told(names: Collection[str]) -> list[Problem]:
    """What is said of a file with these mistakes."""
    config = dict(SOUND)
    for name in names:
        written = MISTAKES[name][0]
        config = merged(config, written if ":" in next(iter(written)) else {PLATFORM: written})
    try:
        examine(from_config("tiny-stack", config, source="a test")).refuse()
    except UnsoundStack as error:
        with pytest.raises(Problems) as caught:
            examine(error).refuse()
        return list(caught.value.problems)
    except Problems as error:
        return list(error.problems)
    return []


def expected(names: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in names:
        for key, said in MISTAKES[name][1].items():
            found.setdefault(key if ":" in key else f"{PLATFORM}/{key}", []).append(said)
    return found


def check(names: Collection[str]) -> None:
    """Each mistake is told at its key, with a fix, and nothing else is."""
    problems = told(names)
    wanted = expected(names)
    assert {problem.where for problem in problems} == set(wanted)
    for where, texts in wanted.items():
        said = [str(problem) for problem in problems if problem.where == where]
        assert all(any(text in each for each in said) for text in texts), (where, said)
    assert all(problem.fix for problem in problems)


def test_the_file_without_mistakes_is_sound() -> None:
    assert told([]) == []


@pytest.mark.parametrize("name", MISTAKES)
def test_one_mistake_is_told_alone(name: str) -> None:
    check([name])


def test_no_mistake_hides_another() -> None:
    for pair in combinations(MISTAKES, 2):
        check(pair)


@given(st.sets(st.sampled_from(sorted(MISTAKES)), min_size=3))
def test_however_many_there_are_all_are_told(names: set[str]) -> None:
    check(names)


def test_what_was_meant_for_another_key_is_not_taken_for_left_out() -> None:
    """Or it would be said of the default what nobody wrote."""
    config = merged(SOUND, {PLATFORM: {"netwrok": {"nat": "single"}}})
    quota = {PLATFORM: {"quotas": {"elastic_ips": 1}}}
    with pytest.raises(UnsoundStack) as caught:
        from_config("tiny", merged(config, quota), source="a test")
    (unknown,) = examine(caught.value).problems
    assert unknown.fix == "did you mean 'network'?"


def test_a_file_with_every_mistake_is_told_all_of_them_at_once() -> None:
    check(list(MISTAKES))


JUNK: Final[list[Any]] = [
    None, True, -1, 0, 3, 10**9, 1.5, float("inf"), "", "x", "5", "a.example.org", "é", [], ["x"],
    [5, None], {}, {"x": 1}, {"min": 9, "max": 1}, {1: 2}, {None: {}}, "db.r6g.large", "m7g.large",
    {"web": None}, {"kind": "moodle"}, {"kind": ["moodle"]}, "moodle", [["x"]], b"x",
]  # fmt: skip
FULL: Final[Mapping[str, Any]] = {
    "firstbell:cloud": "aws",
    "firstbell:season": "season.yaml",
    "aws:region": "eu-north-1",
    "aws:allowedAccountIds": ["111122223333"],
    PLATFORM: SOUND[PLATFORM]
    | {
        "certificate_arn": "arn:aws:acm:eu-north-1:111122223333:certificate/1",
        "owner": "platform",
        "edge": {"static_paths": ["/theme/*"], "certificate_arn": None},
        "tiers": {
            "web": {
                "application": {"kind": "moodle", "version": "4.5.8", "sha256": "0" * 64},
                "instance_types": ["m7i.large"],
                "warm_pool": {"min": 1, "max_prepared": 3},
                "refresh": {"min_healthy_percent": 90},
            },
            "api": {"hosts": ["api.example.org"], "paths": ["/api/*"], "takes_requests": True},
        },
        "database": {"engine": "aurora-mysql", "replicas": {"min": 1}, "parameters": {"a": "b"}},
        "cache": {"replicas": {"min": 1, "max": 1}, "node_type": "cache.m7g.large"},
        "files": {"access_points": {"data": {"path": "/data"}}, "bucket": {}},
        "quotas": {"standard_vcpus": 64},
        "network": {"cidr": "10.0.0.0/16", "zones": 3, "nat": "zone"},
        "firewall": {"unchallenged_paths": ["/api/"]},
    },
}


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where something stands, at every depth."""
    below = value.items() if isinstance(value, dict) else ()
    return [path, *(place for key, entry in below for place in places(entry, (*path, key)))]


def put(value: Any, path: tuple[Any, ...], junk: Any) -> None:
    for key in path[:-1]:
        value = value[key] if isinstance(value, dict) and key in value else {}
    if isinstance(value, dict):
        value[path[-1]] = junk


@given(
    st.lists(
        st.tuples(st.sampled_from(places(FULL)[1:]), st.sampled_from(JUNK)), min_size=1, max_size=4
    )
)
def test_whatever_is_written_anywhere_is_taken_or_told(changes: list[tuple[Any, Any]]) -> None:
    """Never a traceback, and never an error without its place."""
    config = copy.deepcopy(dict(FULL))
    for path, junk in changes:
        put(config, path, copy.deepcopy(junk))
    stack: StackSettings | UnsoundStack
    try:
        stack = from_config("tiny", config, source="a test")
    except UnsoundStack as error:
        stack = error
    problems = examine(stack, datetime(2026, 11, 1, tzinfo=UTC)).problems
    assert all(problem.where and problem.what for problem in problems)
    assert bool(problems) or isinstance(stack, StackSettings)
