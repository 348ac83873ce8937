"""A scene for the demo and the tests: two servers, a Moodle-shaped school, files, a writer."""

from __future__ import annotations

import hashlib
import os
import random
import shutil
import subprocess
import sys
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Final, Generic, Protocol, TypeVar

import yaml

from cli.migration.proof import writer
from cli.migration.proof.servers import ADMIN_PASSWORD, PostgresServer
from infra import paths
from infra.errors import FirstbellError

APPLICATION: Final = "lms_app"
APPLICATION_PASSWORD: Final = "app s3cret/%+"  # noqa: S105 (a throwaway server on loopback)
DATABASE: Final = "lms"

# Everything that replication does not carry, or carries only when prepared, is in it.
_SCHEMA: Final = """
CREATE ROLE lms_reports;
GRANT lms_reports TO lms_app;
ALTER DATABASE lms SET search_path = moodle, public;
SET search_path = moodle, public;
CREATE SCHEMA moodle AUTHORIZATION lms_app;
SET ROLE lms_app;
CREATE TYPE mood AS ENUM ('fine', 'bored');
CREATE TABLE mdl_user (id bigserial PRIMARY KEY, username text NOT NULL UNIQUE, mood mood,
  shout text GENERATED ALWAYS AS (upper(username)) STORED);
CREATE TABLE mdl_files (id bigserial PRIMARY KEY, contenthash char(40) NOT NULL,
  filename text NOT NULL);
CREATE INDEX ON mdl_files (contenthash);
CREATE TABLE mdl_log (id bigint GENERATED ALWAYS AS IDENTITY, at timestamptz NOT NULL,
  userid bigint REFERENCES mdl_user (id), score double precision, PRIMARY KEY (id, at))
  PARTITION BY RANGE (at);
CREATE TABLE mdl_log_old PARTITION OF mdl_log FOR VALUES FROM (MINVALUE) TO ('2026-01-01');
CREATE TABLE mdl_log_new PARTITION OF mdl_log FOR VALUES FROM ('2026-01-01') TO (MAXVALUE);
CREATE TABLE mdl_nokey (a int, b text);
CREATE TABLE mdl_unique (a int NOT NULL UNIQUE, b text);
CREATE UNLOGGED TABLE mdl_cache (k text PRIMARY KEY, v text);
CREATE SEQUENCE mdl_ticket CACHE 10;
CREATE MATERIALIZED VIEW mdl_active AS SELECT count(*) AS users FROM mdl_user;
CREATE VIEW mdl_names AS SELECT id, username FROM mdl_user WHERE mood = 'fine';
CREATE FUNCTION trimmed() RETURNS trigger LANGUAGE plpgsql AS
  $$ BEGIN NEW.username := trim(NEW.username); RETURN NEW; END $$;
CREATE TRIGGER trim_names BEFORE INSERT ON mdl_user FOR EACH ROW EXECUTE FUNCTION trimmed();
GRANT SELECT ON mdl_names TO lms_reports;
"""
_ROWS: Final = """
SET search_path = moodle, public;
SET ROLE lms_app;
INSERT INTO mdl_user (username, mood)
  SELECT 'user' || i, CASE WHEN i % 7 = 0 THEN 'bored' ELSE 'fine' END::mood
  FROM generate_series(1, {users}) i;
INSERT INTO mdl_log (at, userid, score)
  SELECT '2025-06-01'::timestamptz + i * interval '5 minutes', 1 + i % {users}, random() * 100
  FROM generate_series(1, {logs}) i;
INSERT INTO mdl_nokey SELECT i, 'n' || i FROM generate_series(1, 50) i;
INSERT INTO mdl_unique SELECT i, 'u' || i FROM generate_series(1, 50) i;
INSERT INTO mdl_cache VALUES ('language', 'sv');
SELECT nextval('mdl_ticket');
SELECT lo_from_bytea(0, 'a large object');
REFRESH MATERIALIZED VIEW mdl_active;
"""


class Server(Protocol):
    """What a scene asks of a server of any kind."""

    def dsn(self, database: str, user: str = ..., password: str = ...) -> str: ...

    def remove(self) -> None: ...


S = TypeVar("S", bound=Server)


@dataclass
class SceneOf(ABC, Generic[S]):
    """Two servers with a school on the first, and what belongs to a migration between them."""

    folder: Path
    source: S
    target: S
    name: str = "school"
    rehearsal: S | None = None
    # A second scratch server, where a rehearsal needs two.
    rehearsal_target: S | None = None
    load: subprocess.Popen[bytes] | None = None
    extra: dict[str, object] = field(default_factory=dict[str, object])

    # The database that a rehearsal's connection strings name.
    scratch: ClassVar[str] = "postgres"

    @property
    def proof(self) -> Path:
        return self.folder / "proof"

    @property
    def dataroot(self) -> Path:
        return self.folder / "moodledata"

    @property
    def mounted(self) -> Path:
        return self.folder / "efs" / "moodledata"

    @abstractmethod
    def fill(self, *, users: int = 200, logs: int = 2000, files: int = 0) -> None:
        """Make the school: schema, rows, and a content-addressed file tree."""

    @abstractmethod
    def evidence(self, final: S) -> writer.Evidence:
        """What was acknowledged against what the final side holds."""

    @staticmethod
    @abstractmethod
    def application_dsn(server: S) -> str:
        """How the application connects."""

    @staticmethod
    @abstractmethod
    def superuser_dsn(server: S) -> str:
        """How another superuser connects."""

    def write_spec(self, **changes: object) -> Path:
        """Write the migration's file under FIRSTBELL_STACKS and export what it refers to."""
        os.environ |= self.environment()
        nothing = [[sys.executable, "-c", "pass"]]
        document: dict[str, object] = {
            "version": 1,
            "source": {"dsn": "env:SCENE_SOURCE", "peer_dsn": "env:SCENE_SOURCE_PEER"},
            "target": {"dsn": "env:SCENE_TARGET", "peer_dsn": "env:SCENE_TARGET_PEER"},
            "application": {
                "kind": "moodle",
                "source": {"stop": nothing, "start": nothing},
                "target": {"stop": nothing, "start": nothing},
            },
            "switch": {"to_target": nothing, "to_source": nothing, "old_ttl": "1s"},
            "window": "10m",
            "gate": [
                {"name": "backup restored", "attested": "the crew, in August"},
                {"name": "dns ttl lowered", "attested": "the crew, in August"},
                {"name": "secrets equal", "attested": "the crew, in August"},
            ],
        }
        if self.dataroot.exists():
            self.mounted.parent.mkdir(exist_ok=True)
            document["files"] = [
                {
                    "name": "moodledata",
                    "source": str(self.dataroot),
                    "target": str(self.mounted),
                    "layout": "moodle",
                }
            ]
        if self.rehearsal is not None:
            document["rehearsal"] = {
                "dsn": "env:SCENE_REHEARSAL",
                "peer_dsn": "env:SCENE_REHEARSAL",
                "stop": nothing,
                "start": nothing,
            }
            if self.rehearsal_target is not None:
                second = dict.fromkeys(
                    ("target_dsn", "target_peer_dsn"), "env:SCENE_REHEARSAL_TARGET"
                )
                document["rehearsal"] = {**document["rehearsal"], **second}
        path = paths.stacks() / "migrations" / f"{self.name}.yaml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(yaml.safe_dump(document | self.extra | changes, sort_keys=False))
        return path

    def environment(self) -> dict[str, str]:
        """What the migration's file and the writer refer to."""
        found = {
            "SCENE_SOURCE": self.source.dsn(DATABASE),
            "SCENE_SOURCE_PEER": self.source.dsn(DATABASE),
            "SCENE_TARGET": self.target.dsn(DATABASE),
            "SCENE_TARGET_PEER": self.target.dsn(DATABASE),
            "FIRSTBELL_PROOF_SOURCE": self.application_dsn(self.source),
            "FIRSTBELL_PROOF_TARGET": self.application_dsn(self.target),
            "FIRSTBELL_PROOF_SUPER_SOURCE": self.superuser_dsn(self.source),
            "FIRSTBELL_PROOF_SUPER_TARGET": self.superuser_dsn(self.target),
        }
        if self.rehearsal is not None:
            found["SCENE_REHEARSAL"] = self.rehearsal.dsn(self.scratch)
        if self.rehearsal_target is not None:
            found["SCENE_REHEARSAL_TARGET"] = self.rehearsal_target.dsn(self.scratch)
        return found

    def start_load(self, pause: float = 0.005) -> None:
        """Let the writer and the probes work, in a process of their own."""
        self.proof.mkdir(exist_ok=True)
        self.load = subprocess.Popen(
            [sys.executable, "-m", "cli.migration.proof.writer", str(self.proof), str(pause)],
            env={**os.environ, **self.environment()},
            cwd=paths.PROJECT_ROOT,
            stdin=subprocess.DEVNULL,
        )

    def stop_load(self) -> None:
        """Let them end."""
        (self.proof / "stop").touch()
        if self.load is not None:
            self.load.wait(timeout=30)
            self.load = None

    def wait_for_writes(self, count: int = 20, seconds: float = 30) -> None:
        """Wait until that many writes were acknowledged since now.

        Raises:
            FirstbellError: they were not, in this time.
        """
        path, deadline = self.proof / "writer.jsonl", time.monotonic() + seconds

        def acknowledged() -> int:
            return path.read_text().count('"acknowledged"') if path.exists() else 0

        wanted = acknowledged() + count
        while acknowledged() < wanted:
            if time.monotonic() > deadline:
                raise FirstbellError(f"users could not write {count} times in {seconds:.0f} s")
            time.sleep(0.05)

    def remove(self) -> None:
        """End everything and delete it."""
        if self.load is not None:
            self.load.kill()
            self.load.wait()
        for server in (self.source, self.target, self.rehearsal, self.rehearsal_target):
            if server is not None:
                server.remove()
        shutil.rmtree(self.folder, ignore_errors=True)


class Scene(SceneOf[PostgresServer]):
    """Two PostgreSQL servers."""

    def fill(self, *, users: int = 200, logs: int = 2000, files: int = 0) -> None:
        """Make the school: schema, rows, and a content-addressed file tree."""
        for server in (self.source, self.target):
            with server.connect("postgres") as conn:
                conn.execute(f"CREATE DATABASE {DATABASE}".encode())
        with self.source.connect(DATABASE) as conn:
            conn.execute("SET log_statement = 'none'")
            conn.execute(
                f"CREATE ROLE {APPLICATION} LOGIN PASSWORD '{APPLICATION_PASSWORD}'".encode()
            )
            conn.execute((_SCHEMA + writer.TABLES).encode())
            conn.execute(_ROWS.format(users=users, logs=logs).encode())
            if files:
                hashes = make_dataroot(self.dataroot, files)
                with conn.cursor().copy(
                    "COPY moodle.mdl_files (contenthash, filename) FROM STDIN"
                ) as copy:
                    for number, content in enumerate(hashes):
                        copy.write_row((content, f"file{number}.pdf"))
            conn.execute("ANALYZE")

    def evidence(self, final: PostgresServer) -> writer.Evidence:
        """What was acknowledged against what the final side holds."""
        with final.connect(DATABASE) as conn:
            rows = conn.execute("SELECT id, version FROM moodle.proof_row").fetchall()
        return writer.examine(self.proof, [(int(str(a)), int(str(b))) for a, b in rows])

    @staticmethod
    def application_dsn(server: PostgresServer) -> str:
        return server.dsn(DATABASE, APPLICATION, APPLICATION_PASSWORD)

    @staticmethod
    def superuser_dsn(server: PostgresServer) -> str:
        return server.dsn(DATABASE, "postgres", ADMIN_PASSWORD)


def make_dataroot(folder: Path, files: int) -> list[str]:
    """A Moodle data folder: filedir by SHA-1, and around it what is kept and what is left out."""
    chance, hashes = random.Random(11), list[str]()  # noqa: S311 (content, not a secret)
    for _ in range(files):
        content = chance.randbytes(chance.randrange(100, 40_000))
        name = hashlib.sha1(content, usedforsecurity=False).hexdigest()
        place = folder / "filedir" / name[:2] / name[2:4]
        place.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
        hashes.append(name)
    for kept in ("muc", "secret", "lang/sv", "cache", "temp", "localcache", "empty"):
        (folder / kept).mkdir(parents=True, exist_ok=True)
    (folder / "muc" / "config.php").write_text("<?php // cache stores")
    (folder / "secret" / "key").write_text("k")
    (folder / "secret" / "key").chmod(0o600)
    (folder / "lang" / "sv" / "moodle.php").write_text("<?php")
    (folder / "lang" / "current").symlink_to("sv")
    (folder / "cache" / "stale").write_text("x")
    return hashes
