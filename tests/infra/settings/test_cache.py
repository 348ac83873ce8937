"""What a stack's file may say of the cache, and how it is told that it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from infra.settings.stack import read_stack
from tests.conftest import WriteStack
from tests.infra.settings.test_stack import platform, problems

SCALED = {"cluster_mode": True, "node_type": "cache.m7g.large", "replicas": {"min": 1, "max": 3}}


def test_a_stack_has_a_cache_only_where_it_says_so(write_stack: WriteStack) -> None:
    write_stack(**platform())
    assert read_stack("tiny").platform.cache is None
    write_stack(**platform(cache={}))
    cache = read_stack("tiny").platform.cache
    assert cache is not None
    assert (cache.family, cache.replicas.min, cache.scales) == ("valkey8", 1, False)


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"replicas": {"max": 6}}, "cache/replicas/max: input should be less than or equal to 5"),
        ({"replicas": {"min": 0}}, "cache/replicas/min: input should be greater than or equal to"),
        (
            SCALED | {"replicas": {"min": 3, "max": 2}},
            "cache/replicas: min 3 is greater than max 2",
        ),
        (SCALED | {"cluster_mode": False}, "write cluster_mode: true (the application's client"),
        (SCALED | {"node_type": "cache.t4g.small"}, "AWS scales no cache.t4g.small, but sizes"),
        ({"shards": 2}, "shards 2 needs cluster mode (write cluster_mode: true"),
        ({"engine": "memcached"}, "'valkey' or 'redis', not 'memcached'"),
        ({"engine": "redis", "version": "5.0.6"}, "write 6.2, 7.0, 7.1"),
        ({"node_type": "cache.t4g.smal"}, "did you mean 'cache.t4g.small'?"),
        ({"node_typ": "cache.t4g.small"}, "unknown key 'node_typ' (did you mean 'node_type'?)"),
    ],
)
def test_what_aws_would_refuse_is_refused(
    write_stack: WriteStack, settings: dict[str, Any], complaint: str
) -> None:
    (found,) = problems(write_stack, **platform(cache=settings))
    assert complaint in found


def test_a_node_type_that_the_region_lacks_is_refused(write_stack: WriteStack) -> None:
    found = problems(write_stack, **{"aws:region": "me-south-1"}, **platform(cache={}))
    assert any("'cache.t4g.small' is not offered in me-south-1" in problem for problem in found)


def test_a_cache_that_schedule_and_load_move_is_taken(write_stack: WriteStack) -> None:
    write_stack(**platform(cache=SCALED))
    cache = read_stack("tiny").platform.cache
    assert cache is not None
    assert cache.scales
