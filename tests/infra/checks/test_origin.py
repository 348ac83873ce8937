"""That somebody may walk around the CDN is said, as long as it is so."""

from __future__ import annotations

import pytest

from infra.checks import origin
from infra.checks.base import Subject
from tests.infra.checks.builders import settings


def test_a_balancer_that_still_serves_who_comes_directly_is_told() -> None:
    (found,) = origin.check(Subject(settings(edge={"serve_direct": True}))).warnings
    assert found.startswith("firstbell:platform/edge/serve_direct is true")


@pytest.mark.parametrize("edge", [None, {}, {"serve_direct": False}])
def test_a_balancer_that_is_closed_or_has_no_cdn_is_not(edge: object) -> None:
    assert origin.check(Subject(settings(edge=edge))).warnings == ()
