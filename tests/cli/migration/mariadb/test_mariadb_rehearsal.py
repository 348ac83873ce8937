"""A rehearsal on two scratch servers leaves them empty and never touches the source."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from cli.migration import rehearsal
from cli.migration.proof.mariadb import MariaDbScene
from infra.errors import InputError
from tests.cli.migration.conftest import begin


@pytest.mark.slow
def test_a_rehearsal_times_every_step_and_leaves_its_servers_empty(
    stage: Callable[..., MariaDbScene],
) -> None:
    scene = stage(rehearsal=True)
    assert scene.rehearsal is not None
    run = begin(scene)
    before = scene.source.one("SELECT COUNT(*) FROM firstbell.token")
    record = rehearsal.rehearse(run)
    assert scene.source.one("SELECT COUNT(*) FROM firstbell.token") == before
    assert scene.source.one("SHOW ALL SLAVES STATUS") is None
    steps = record["steps"]
    assert isinstance(steps, dict)
    assert all(steps[name] > 0 for name in ("fence", "drain", "verify", "flip"))
    for server in (scene.rehearsal, scene.rehearsal_target):
        assert server is not None
        with server.connect() as conn, conn.cursor() as cursor:
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.SCHEMATA"
                " WHERE SCHEMA_NAME IN ('lms', 'firstbell')"
            )
            assert cursor.fetchone() == (0,)

    scene.rehearsal.sql("CREATE DATABASE precious", database=None)
    with pytest.raises(InputError, match="holds precious"):
        rehearsal.rehearse(run)
    run.spec = run.spec.model_copy(
        update={"rehearsal": run.spec.rehearsal and run.spec.rehearsal.model_copy(
            update={"target_dsn": None}
        )}
    )  # fmt: skip
    with pytest.raises(InputError, match="needs two scratch servers"):
        rehearsal.rehearse(run)
