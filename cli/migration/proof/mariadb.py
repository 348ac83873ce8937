"""Real MariaDB servers on this machine, and a Moodle-shaped school between two of them.

The programs are Debian's (`mariadb-server`); the servers run as an unprivileged user on a loopback
port with a data directory of their own, apart from the service that the package may have started.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import quote

import pymysql
from pymysql.cursors import Cursor

from cli.migration.proof import writer
from cli.migration.proof.scene import (
    APPLICATION,
    APPLICATION_PASSWORD,
    DATABASE,
    SceneOf,
    make_dataroot,
)
from cli.migration.proof.servers import ADMIN, ADMIN_PASSWORD, as_nobody, free_port
from infra.errors import FirstbellError, InputError

_START_SECONDS: Final = 30.0
_PROGRAMS: Final = ("mariadbd", "mariadb-install-db", "mariadb-dump")
_PLACES: Final = ("/usr/sbin", "/usr/bin", "/usr/local/bin")

_CONF: Final = """
[mariadbd]
bind_address = 127.0.0.1
skip_name_resolve = ON
log_bin = binlog
binlog_format = ROW
log_slave_updates = ON
innodb_buffer_pool_size = 32M
innodb_log_file_size = 16M
innodb_flush_log_at_trx_commit = 1
sync_binlog = 1
max_connections = 200
event_scheduler = ON
character_set_server = utf8mb4
performance_schema = OFF
"""


def program(name: str, home: Path | None = None) -> Path | None:
    """One of MariaDB's programs, or None when it is not here; `home` holds another version's."""
    if home is not None:
        places = (home / folder / name for folder in ("bin", "scripts"))
        return next((place for place in places if place.exists()), None)
    found = shutil.which(name, path=os.pathsep.join((os.environ.get("PATH", ""), *_PLACES)))
    return Path(found) if found else None


def installed() -> bool:
    """Whether servers can be started on this machine."""
    return all(program(name) for name in _PROGRAMS)


@dataclass
class MariaDbServer:
    """One server with a data directory of its own; `kill` is a crash, `stop` is not."""

    number: int
    folder: Path
    port: int
    process: subprocess.Popen[bytes] | None = None
    # Another version's folder than Debian's.
    home: Path | None = None

    @classmethod
    def create(cls, number: int, *, conf: str = "", home: Path | None = None) -> MariaDbServer:
        """Initialise a data directory and start it; `number` is server id and GTID domain.

        Raises:
            InputError: MariaDB's programs are not on this machine.
        """
        if not installed():
            raise InputError("no MariaDB on this machine", fix="apt-get install mariadb-server")
        server = cls(
            number, Path(tempfile.mkdtemp(prefix="firstbell-maria-")), free_port(), home=home
        )
        server.folder.chmod(0o711)
        (server.folder / "tmp").mkdir()
        if os.geteuid() == 0:
            shutil.chown(server.folder, "nobody")
            shutil.chown(server.folder / "tmp", "nobody")
        server.configure(conf)
        done = subprocess.run(
            [
                *as_nobody(),
                str(program("mariadb-install-db", home)),
                f"--defaults-file={server.option_file}",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
            ],
            capture_output=True,
            text=True,
            check=False,
            cwd="/",
        )
        if done.returncode:
            raise FirstbellError("mariadb-install-db failed", why=done.stdout + done.stderr)
        server.start()
        with server.connect(user="root", password="") as conn, conn.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            cursor.execute("DELETE FROM mysql.global_priv WHERE User IN ('', 'root')")
            cursor.execute("FLUSH PRIVILEGES")
            for user in (ADMIN, "root"):
                name = f"'{user}'@'%'"
                cursor.execute(f"CREATE USER {name} IDENTIFIED BY '{ADMIN_PASSWORD}'")
                cursor.execute(f"GRANT ALL PRIVILEGES ON *.* TO {name} WITH GRANT OPTION")
        return server

    def configure(self, conf: str = "") -> None:
        """Write the option file; what stands later in it wins."""
        basedir = "" if self.home is None else f"basedir = {self.home}\n"
        self.option_file.write_text(
            f"{_CONF}port = {self.port}\nserver_id = {self.number}\n"
            f"gtid_domain_id = {self.number}\ndatadir = {self.folder / 'data'}\n"
            f"socket = {self.folder / 'socket'}\npid_file = {self.folder / 'pid'}\n"
            f"tmpdir = {self.folder / 'tmp'}\n{basedir}{conf}"
        )

    def copy(self, number: int) -> MariaDbServer:
        """A server of its own from this one's stopped data directory."""
        other = MariaDbServer(
            number,
            Path(tempfile.mkdtemp(prefix="firstbell-maria-")),
            free_port(),
            home=self.home,
        )
        other.folder.rmdir()
        shutil.copytree(self.folder, other.folder, ignore=shutil.ignore_patterns("socket", "log"))
        if os.geteuid() == 0:
            for path in (other.folder, *other.folder.rglob("*")):
                shutil.chown(path, "nobody", "nogroup")
        other.configure()
        other.start()
        return other

    @property
    def option_file(self) -> Path:
        return self.folder / "server.cnf"

    @property
    def log(self) -> Path:
        return self.folder / "log"

    def dsn(
        self, database: str = DATABASE, user: str = ADMIN, password: str = ADMIN_PASSWORD
    ) -> str:
        """A connection string of a role."""
        secret = quote(password, safe="")
        return f"mariadb://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def connect(
        self, database: str | None = None, user: str = ADMIN, password: str = ADMIN_PASSWORD
    ) -> pymysql.Connection[Cursor]:
        """An autocommit connection."""
        return pymysql.connect(
            host="127.0.0.1",
            port=self.port,
            user=user,
            password=password,
            database=database,
            autocommit=True,
            charset="utf8mb4",
        )

    def sql(self, *statements: str, database: str | None = DATABASE) -> None:
        """Run statements that stay on this server."""
        with self.connect(database) as conn, conn.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            for statement in statements:
                cursor.execute(statement)

    def one(self, query: str) -> object:
        """The first column of the first row."""
        with self.connect(DATABASE) as conn, conn.cursor() as cursor:
            cursor.execute(query)
            found = cursor.fetchone()
        return None if found is None else found[0]

    def start(self) -> None:
        """Start and wait until connections are taken."""
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [
                    *as_nobody(),
                    str(program("mariadbd", self.home)),
                    f"--defaults-file={self.option_file}",
                ],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd="/",
                start_new_session=True,
            )
        deadline = time.monotonic() + _START_SECONDS
        while True:
            try:
                self.connect(user="nobody_at_all", password="").close()
            except pymysql.OperationalError as error:
                if error.args[0] == 1045:
                    return  # it answers
                if self.process.poll() is not None or time.monotonic() > deadline:
                    raise FirstbellError(
                        "MariaDB did not start",
                        why=self.log.read_text(errors="replace")[-2000:],
                    ) from error
                time.sleep(0.05)

    def kill(self) -> None:
        """A crash."""
        if self.process is not None and self.process.poll() is None:
            self.process.kill()
            self.process.wait(timeout=_START_SECONDS)

    def stop(self) -> None:
        """An orderly shutdown."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            self.process.wait(timeout=_START_SECONDS)

    def remove(self) -> None:
        """Crash it and delete its data."""
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


# What replication or the fence has to be told about is in it: events, triggers, routines, views
# with other definers, a sequence, a table without key, texts in another character set.
_SCHEMA: Final = (
    f"CREATE USER '{APPLICATION}'@'%' IDENTIFIED BY '{APPLICATION_PASSWORD}'",
    "CREATE ROLE lms_reports",
    f"GRANT ALL PRIVILEGES ON {DATABASE}.* TO '{APPLICATION}'@'%'",
    f"GRANT lms_reports TO '{APPLICATION}'@'%'",
    "CREATE TABLE mdl_user (id BIGINT AUTO_INCREMENT PRIMARY KEY, username VARCHAR(100) NOT NULL"
    " UNIQUE, mood ENUM('fine', 'bored'), shout VARCHAR(100) AS (UPPER(username)) STORED,"
    " score FLOAT, born DATE, seen TIMESTAMP NULL, picture LONGBLOB)",
    "CREATE TABLE mdl_files (id BIGINT AUTO_INCREMENT PRIMARY KEY, contenthash CHAR(40) NOT NULL,"
    " filename VARCHAR(255) CHARACTER SET latin1 NOT NULL, KEY (contenthash))",
    "CREATE TABLE mdl_log (id BIGINT AUTO_INCREMENT PRIMARY KEY, at DATETIME NOT NULL, userid"
    " BIGINT, grade DOUBLE, detail TEXT, FOREIGN KEY (userid) REFERENCES mdl_user (id)"
    " ON DELETE CASCADE)",
    "CREATE TABLE mdl_nokey (a INT, b VARCHAR(50))",
    "CREATE TABLE mdl_parts (id INT, at DATE, PRIMARY KEY (id, at)) PARTITION BY RANGE (YEAR(at))"
    " (PARTITION p1 VALUES LESS THAN (2026), PARTITION p2 VALUES LESS THAN MAXVALUE)",
    "CREATE SEQUENCE mdl_ticket CACHE 10",
    "CREATE VIEW mdl_names AS SELECT id, username FROM mdl_user WHERE mood = 'fine'",
    f"CREATE DEFINER = '{APPLICATION}'@'%' FUNCTION mdl_next(n INT) RETURNS INT DETERMINISTIC"
    " RETURN n + 1",
    f"CREATE DEFINER = '{APPLICATION}'@'%' TRIGGER trim_names BEFORE INSERT ON mdl_user"
    " FOR EACH ROW SET NEW.username = TRIM(NEW.username)",
    f"CREATE DEFINER = '{APPLICATION}'@'%' EVENT tick ON SCHEDULE EVERY 1 SECOND DO"
    " INSERT INTO mdl_nokey VALUES (0, 'tick')",
    f"GRANT SELECT ON {DATABASE}.mdl_names TO lms_reports",
    "CREATE TABLE proof_row (pk CHAR(36) PRIMARY KEY DEFAULT UUID(), id BIGINT NOT NULL,"
    " version INT NOT NULL, KEY (id))",
    "CREATE TABLE proof_probe (pk CHAR(36) PRIMARY KEY DEFAULT UUID(), who VARCHAR(100) NOT NULL,"
    " at TIMESTAMP(6) DEFAULT CURRENT_TIMESTAMP(6))",
)


class MariaDbScene(SceneOf[MariaDbServer]):
    """Two MariaDB servers with a school on the first."""

    scratch = DATABASE

    def fill(self, *, users: int = 200, logs: int = 2000, files: int = 0) -> None:
        """Make the school: schema and rows, with its history in the binary log."""
        for server in (self.source, self.target):
            server.sql(f"CREATE DATABASE {DATABASE} CHARACTER SET utf8mb4", database=None)
        with self.source.connect(DATABASE) as conn, conn.cursor() as cursor:
            for statement in _SCHEMA:
                cursor.execute(statement)
            cursor.execute(
                "INSERT INTO mdl_user (username, mood, score, born, seen, picture) SELECT"
                " CONCAT('user', seq), IF(seq MOD 7 = 0, 'bored', 'fine'), seq / 7, '2010-02-03',"
                f" '2026-01-01 10:00:00', REPEAT(CHAR(seq MOD 256), 300) FROM seq_1_to_{users}"
            )
            cursor.execute(
                "INSERT INTO mdl_log (at, userid, grade, detail) SELECT '2025-06-01' + INTERVAL"
                f" seq MINUTE, 1 + seq MOD {users}, seq / 3, REPEAT('å', seq MOD 90)"
                f" FROM seq_1_to_{logs}"
            )
            cursor.execute("INSERT INTO mdl_nokey SELECT seq, CONCAT('n', seq) FROM seq_1_to_50")
            cursor.execute("INSERT INTO mdl_parts SELECT seq, '2025-12-30' + INTERVAL seq DAY"
                           " FROM seq_1_to_20")  # fmt: skip
            cursor.execute("SELECT NEXTVAL(mdl_ticket)")
            # A gap behind the highest id: rows that were deleted again.
            cursor.execute("INSERT INTO mdl_user (username) VALUES ('gone1'), ('gone2')")
            cursor.execute("DELETE FROM mdl_user WHERE username LIKE 'gone%'")
            self.fill_files(cursor, files)
            cursor.execute("ANALYZE NO_WRITE_TO_BINLOG TABLE mdl_user, mdl_log")

    def fill_files(self, cursor: Cursor, files: int) -> None:
        """A content-addressed tree, and the table that names its contents."""
        if files:
            hashes = make_dataroot(self.dataroot, files)
            cursor.executemany(
                "INSERT INTO mdl_files (contenthash, filename) VALUES (%s, %s)",
                [(content, f"blå{number}.pdf") for number, content in enumerate(hashes)],
            )

    def evidence(self, final: MariaDbServer) -> writer.Evidence:
        with final.connect(DATABASE) as conn, conn.cursor() as cursor:
            cursor.execute("SELECT id, version FROM proof_row")
            rows = [(int(row[0]), int(row[1])) for row in cursor.fetchall()]
        return writer.examine(self.proof, rows)

    @staticmethod
    def application_dsn(server: MariaDbServer) -> str:
        return server.dsn(DATABASE, APPLICATION, APPLICATION_PASSWORD)

    @staticmethod
    def superuser_dsn(server: MariaDbServer) -> str:
        return server.dsn(DATABASE, "root", ADMIN_PASSWORD)
