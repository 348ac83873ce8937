"""What a stack's file may say of the shared files, and how it is told that it is wrong."""

from __future__ import annotations

from typing import Any

import pytest

from infra.settings.stack import read_stack
from tests.conftest import WriteStack
from tests.infra.settings.test_stack import platform, problems


def test_a_stack_has_files_only_where_it_says_so(write_stack: WriteStack) -> None:
    write_stack(**platform())
    assert read_stack("tiny").platform.files is None
    write_stack(**platform(files={}))
    files = read_stack("tiny").platform.files
    assert files is not None
    assert [point.path for point in files.access_points.values()] == ["/data"]


@pytest.mark.parametrize(
    ("settings", "complaint"),
    [
        ({"access_points": {}}, "files/access_points: mapping should have at least 1 item"),
        (
            {"access_points": {"data": {"path": "/"}}},
            "access_points/data/path: string should match",
        ),
        ({"access_points": {"data": {"path": "/a/b/c/d/e"}}}, "string should match pattern"),
        ({"access_points": {"data": {"path": "/a", "uid": 0}}}, "greater than or equal to 1"),
        ({"access_points": {"data": {"path": "/a", "permissions": "rwx"}}}, "should match pattern"),
        (
            {"access_points": {"a": {"path": "/x"}, "b": {"path": "/x"}}},
            "a and b both have the folder /x (give each its own)",
        ),
        ({"infrequent_access_days": 45}, "1, 7, 14, 30, 60, 90, 180, 270 or 365, not 45"),
        ({"throughput": "provisioned"}, "'elastic' or 'bursting', not 'provisioned'"),
        ({"bucket": {"old_version_days": 0}}, "greater than or equal to 1, not 0"),
        ({"bucket": True}, "files/bucket: must be a mapping of keys to values, not True"),
        ({"acces_points": {}}, "unknown key 'acces_points' (did you mean 'access_points'?)"),
    ],
)
def test_what_aws_would_refuse_is_refused(
    write_stack: WriteStack, settings: dict[str, Any], complaint: str
) -> None:
    (found,) = problems(write_stack, **platform(files=settings))
    assert complaint in found
