"""`status` without a runner says why a server gives no answer, and refuses what is to correct."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml

from cli.migration import status
from cli.migration.journal import Journal, root
from cli.migration.proof.mariadb import MariaDbServer
from infra import paths
from infra.errors import InputError


@pytest.fixture
def server(template: MariaDbServer) -> Iterator[MariaDbServer]:
    made = template.copy(8)
    try:
        made.sql("CREATE DATABASE lms", "CREATE USER plain IDENTIFIED BY 'plain'", "GRANT ALL ON"
                 " lms.* TO plain", database=None)  # fmt: skip
        yield made
    finally:
        made.remove()


def test_status_tells_a_wrong_password_from_a_server_that_is_away_and_refuses_bad_input(
    home: Path, server: MariaDbServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    del home
    file = paths.stacks() / "migrations" / "school.yaml"
    file.parent.mkdir(parents=True)
    file.write_text(yaml.safe_dump({s: {"dsn": f"env:{s.upper()}"} for s in ("source", "target")}))
    journal = Journal.create(root("school") / "journal.db", "school")
    good = server.dsn("lms")

    def read(source: str, target: str = good) -> status.Status:
        monkeypatch.setenv("SOURCE", source)
        monkeypatch.setenv("TARGET", target)
        return status.read("school", journal)

    try:
        assert read(good).unanswered == ""
        seen = read(server.dsn("lms", password="hunter2"))
        assert seen.writable is None
        assert "the source does not answer: Access denied for user" in seen.first_line
        assert "hunter2" not in str(seen)
        seen = read(good, good.replace(str(server.port), "1"))
        assert seen.unanswered.startswith("the target does not answer: Can't connect to MySQL")
        with pytest.raises(InputError, match="may not leave its statements out"):
            read(server.dsn("lms", "plain", "plain"))
        with pytest.raises(InputError, match=r"ssl_ca=/no/ca\.pem of the target cannot be used"):
            read(good, f"{good}?ssl_ca=/no/ca.pem")
    finally:
        journal.close()
