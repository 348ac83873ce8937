"""`migrate init`: every file that it writes loads, and no password is ever in one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.migration import spec
from cli.migration.init import Answers, Engine, read_config, write
from cli.migration.presets import PRESETS, Kind
from infra import paths
from infra.errors import FirstbellError, InputError
from tests.cli.migration.conftest import Outcome

HIDDEN = "hunter2"
CONFIG = f"""<?php  // Moodle configuration file
unset($CFG);
global $CFG;
$CFG = new stdClass();
//$CFG->dbtype  = 'oci';
$CFG->dbtype    = 'pgsql';
$CFG->dbhost    = 'db.example.org';
$CFG->dbname    = 'moodle';
$CFG->dbuser    = 'moodleuser';
$CFG->dbpass    = '{HIDDEN}';
$CFG->prefix    = 'mdl_';
$CFG->dboptions = array('dbpersist' => 0, 'dbport' => 5433, 'dbsocket' => '');
$CFG->wwwroot   = "https://moodle.example.org";
$CFG->dataroot  = '/var/moodledata';
"""
ENGINES: tuple[Engine, ...] = ("postgresql", "mariadb", "oracle", "sqlserver")

# What stands for the password, which is never written.
PLACEHOLDER = "PASSWORD"


@pytest.fixture
def config(tmp_path: Path, home: Path) -> Path:
    path = tmp_path / "config.php"
    path.write_text(CONFIG)
    return path


def load(name: str) -> spec.Spec:
    return spec.load(paths.stacks() / "migrations" / f"{name}.yaml")


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", list(PRESETS))
@pytest.mark.parametrize("stack", [None, "school"])
def test_a_file_for_each_application_and_database_loads_and_is_commented(
    home: Path, kind: Kind, engine: Engine, stack: str | None
) -> None:
    written = write("school", Answers(kind, engine, target_stack=stack))
    read = load("school")
    text = written.path.read_text()
    assert text.count("\n# ") > 8
    assert (read.dms.source.engine if read.dms else engine) == engine
    assert read.target.dsn == ("stack:school" if stack else "env:TARGET_DSN")
    assert read.application.source.stop
    assert read.application.target.start
    assert {test.when for test in read.application.smoke} == {"before", "after"}
    assert {item.name for item in read.gate} == set(spec.REQUIRED_GATE)
    rehearsal = read.rehearsal
    assert rehearsal is not None
    assert (rehearsal.target_dsn is not None) == (engine == "mariadb")
    # Every variable that the file names is said, and no other.
    assert {f"env:{name}" for name in written.variables} == {
        word.strip('",}') for word in text.split() if word.strip('",}').startswith("env:")
    } - {"env:NAME"}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("kind", list(PRESETS))
def test_a_web_server_for_rehearsals_gets_commands_and_smoke_tests_of_its_own(
    home: Path, kind: Kind, engine: Engine
) -> None:
    write("my-school", Answers(kind, engine, rehearsal_web="lab", rehearsal_url="https://lab/"))
    read = load("my-school")
    stand_in = read.rehearsal
    assert stand_in is not None
    for key in ("maintenance_on", "stop", "start", "maintenance_off"):
        real = getattr(read.application.target, key)
        assert getattr(stand_in, key) == [
            [{"web.aws.example.org": "lab"}.get(word, word) for word in command] for command in real
        ]
    assert stand_in.switch.to_target == [["./rehearsal/switch", "to-target"]]
    assert stand_in.switch.to_source == [["./rehearsal/switch", "to-source"]]
    assert [test.name for test in stand_in.smoke] == [t.name for t in read.application.smoke]
    for test in stand_in.smoke:
        words = [test.url] if test.url else test.command or []
        assert any("lab" in str(word) for word in words), words
        assert "example.org" not in " ".join(map(str, words))
    text = (paths.stacks() / "migrations" / "my-school.yaml").read_text()
    assert ("firstbell_my_school_r_source" in text) == (engine != "mariadb")
    # Without one nothing stands in, and the file says what that means.
    write("plain", Answers(kind, engine))
    plain = load("plain").rehearsal
    assert plain is not None
    assert (plain.stop, plain.switch.to_target, plain.smoke) == ([], [], [])
    assert "not exercised" in (paths.stacks() / "migrations" / "plain.yaml").read_text()


def test_moodle_stands_in_maintenance_until_the_side_that_opens_takes_it_off(home: Path) -> None:
    write("school", Answers("moodle", web="old", target_web="new"))
    application = load("school").application
    assert application.source.stop[0][:2] == ["ssh", "old"]
    assert application.source.stop[0][-1] == "cron"
    for side, host in ((application.source, "old"), (application.target, "new")):
        assert side.maintenance_on[0][-1] == "--enable"
        assert side.maintenance_off[0][-1] == "--disable"
        assert side.start[-1][1:] == [
            *(host, "sudo", "-u", "www-data", "php"),
            "/var/www/moodle/admin/cli/purge_caches.php",
        ]


@pytest.mark.parametrize(
    ("changes", "engine", "comment"),
    [
        ((), "postgresql", "postgresql, database moodle at db.example.org:5433, tables mdl_*"),
        ((("'pgsql'", "'mariadb'"),), "mariadb", "mariadb, database moodle at db.example.org:5433"),
        (
            (("'pgsql'", '"mysqli"'), ("5433", "''"), ("db.example.org'", "db.example.org:3307'")),
            "mariadb",
            "at db.example.org:3307",
        ),
        (
            (("'dbsocket' => ''", "'dbsocket' => '/run/mysqld.sock'"),),
            "postgresql",
            "connects by a socket (/run/mysqld.sock); this runner and AWS need TCP",
        ),
        ((("'db.example.org'", "'/run/postgresql'"),), "postgresql", "by a socket (/run/post"),
        ((("array(", "["), ("'dbsocket' => '')", "'dbsocket' => 0]")), "postgresql", ":5433"),
    ],
)
def test_a_moodle_config_says_where_the_database_and_the_files_are(
    config: Path, changes: tuple[tuple[str, str], ...], engine: str, comment: str
) -> None:
    text = CONFIG
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    config.write_text(text)
    written = write("school", Answers("moodle", config=config))
    read, file = load("school"), written.path.read_text()
    assert read_config(config).engine == engine
    assert comment in file
    tree = read.files[0]
    assert (tree.source, tree.layout) == (Path("/var/moodledata"), "moodle")
    assert read.application.smoke[0].url == "http://10.0.0.10/login/index.php"
    assert HIDDEN not in file + str(written.variables)
    assert written.variables["SOURCE_DSN"].startswith(f"{engine}://migration:{PLACEHOLDER}@")


def test_what_init_cannot_use_is_refused_and_nothing_is_written(config: Path) -> None:
    def refused(text: str, answers: Answers, name: str = "school") -> None:
        with pytest.raises(FirstbellError, match=text) as caught:
            write(name, answers)
        assert caught.value.exit_code == 2
        assert HIDDEN not in str(caught.value)

    refused("cannot name a migration", Answers(), "School-r")
    refused("this is canvas", Answers("canvas", config=config))
    refused("says postgresql, not mariadb", Answers("moodle", "mariadb", config=config))
    refused("cannot be read", Answers("moodle", config=config.with_name("none.php")))
    refused("'soon' is not a duration", Answers(window="soon"))
    for old, new, text in (
        ("'pgsql'", "'sqlsrv'", "its database is sqlsrv"),
        ("'pgsql'", "'auroramysql'", "its database is auroramysql"),
        ("'/var/moodledata'", "getenv('DATAROOT')", "names no dataroot as a plain text"),
    ):
        config.write_text(CONFIG.replace(old, new))
        refused(text, Answers("moodle", config=config))
    assert not (paths.stacks() / "migrations").exists()
    write("school")
    before = (paths.stacks() / "migrations" / "school.yaml").read_bytes()
    refused("there is such a file", Answers("moodle"))
    assert (paths.stacks() / "migrations" / "school.yaml").read_bytes() == before


def test_flags_fill_the_file_and_the_variables_to_set_are_said(
    firstbell: Callable[..., Outcome], config: Path
) -> None:
    outcome = firstbell(
        *("init", "school", "--kind", "moodle", "--config", str(config), "--target-stack", "prod"),
        *("--web", "lms1", "--url", "https://lms.school.se/", "--files", "/srv/x=s3://media/lms"),
        *("--window", "90m", "--rehearsal-web", "lab"),
    )
    assert outcome.code == 0, outcome.err
    assert (
        f"export SOURCE_DSN='postgresql://migration:{PLACEHOLDER}@db.example.org:5433"
        in outcome.err
    )
    assert "TARGET_DSN" not in outcome.err
    assert HIDDEN not in outcome.err + outcome.out
    read = load("school")
    assert [str(tree.target) for tree in read.files] == [
        "the files of stack prod/moodledata",
        "s3://media/lms/",
    ]
    assert {str(test.url) for test in read.application.smoke if test.url} == {
        "http://10.0.0.10/login/index.php"
    }
    assert read.window.total_seconds() == 5400
    assert read.rehearsal is not None
    assert read.rehearsal.smoke[0].url == "http://lab/login/index.php"
    shown = json.loads(firstbell("init", "b", "--kind", "canvas", "--json").out)
    assert (shown["kind"], shown["variables"]["TARGET_DSN"][:13]) == (
        "migrate-init",
        "postgresql://",
    )
    for arguments, text in (
        (("init",), "the migration has no name"),
        (("init", "c", "--files", "/srv/x"), "does not say where the files go"),
        (("init", "c", "--engine", "mysql"), "mysql"),
        (("init", "c", "--rehearsal-url", "http://lab"), "add --rehearsal-web HOST"),
    ):
        refused = firstbell(*arguments)
        assert refused.code == 2
        assert text in refused.err
        assert "Traceback" not in refused.err


def typed(keys: bytes) -> subprocess.CompletedProcess[str]:
    """`migrate init` on a terminal of its own, with these keys pressed."""
    master, terminal = os.openpty()
    os.write(master, keys)
    try:
        return subprocess.run(
            [sys.executable, "-m", "cli", "migrate", "init"],
            stdin=terminal,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            cwd=paths.PROJECT_ROOT,
        )
    finally:
        os.close(master)
        os.close(terminal)


def test_on_a_terminal_without_flags_it_asks_and_enter_takes_the_default(
    home: Path, config: Path
) -> None:
    done = typed(
        "\n".join(["school", "", str(config), "prod", "", "", "", "", "lab", "", "2h", ""]).encode()
    )
    assert done.returncode == 0, done.stderr
    assert "Application (moodle, openedx, canvas, generic) [moodle]" in done.stderr
    read = load("school")
    assert (read.application.kind, read.target.dsn) == ("moodle", "stack:prod")
    assert read.window.total_seconds() == 7200
    assert read.rehearsal is not None
    assert read.rehearsal.stop[0][:2] == ["ssh", "lab"]


def test_a_question_that_nobody_answers_writes_nothing(home: Path) -> None:
    done = typed(b"school\n\x04")
    assert done.returncode == 130
    assert "Traceback" not in done.stderr
    with pytest.raises(InputError):
        load("school")
