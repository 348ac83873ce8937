"""Writes a commented migration file to start from: from answers, and from Moodle's config.php.

No secret is ever read into it: connection strings are named by variables, and a config.php's
password is not even looked for.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal

from cli.migration import named, spec
from cli.migration.presets import PRESETS, Kind, Preset
from infra.errors import InputError

Engine = Literal["postgresql", "mariadb", "oracle", "sqlserver"]
# What config.php calls databases that are migrated. Older sites name a MariaDB server mysqli;
# preflight refuses MySQL itself.
_MOODLE_ENGINES: Final[Mapping[str, Engine]] = {
    "pgsql": "postgresql",
    "mariadb": "mariadb",
    "mysqli": "mariadb",
}
_PORTS: Final[Mapping[Engine, int]] = {"postgresql": 5432, "mariadb": 3306}


@dataclass(frozen=True)
class Answers:
    """What is known about the migration; all of it may be left out."""

    kind: Kind = "generic"
    engine: Engine | None = None
    # Moodle's config.php.
    config: Path | None = None
    # A stack that firstbell built, as the target.
    target_stack: str | None = None
    # Where the application runs, for ssh.
    web: str = "web.example.org"
    target_web: str = "web.aws.example.org"
    # How users reach it, and how the target is reached before users do.
    url: str | None = None
    private_url: str = "http://10.0.0.10"
    # Where an application for rehearsals runs, for ssh, and how it is reached.
    rehearsal_web: str | None = None
    rehearsal_url: str | None = None
    # Folder on this runner -> what the target calls it.
    files: Sequence[tuple[Path, str]] = field(default_factory=list[tuple[Path, str]])
    window: str = "3h"


@dataclass(frozen=True)
class Written:
    """The file, and the variables that it expects to be set."""

    path: Path
    variables: Mapping[str, str]


def write(name: str, answers: Answers | None = None) -> Written:
    """Write `stacks/migrations/NAME.yaml` and check that it can be read back.

    Raises:
        InputError: the file is there already, the name cannot be used, or config.php says nothing.
    """
    answers = answers or Answers()
    path = named.folder() / f"{name}.yaml"
    spec.check_name(path)
    if path.exists():
        raise InputError("there is such a file", where=str(path), fix="take another name")
    if answers.config is not None and answers.kind != "moodle":
        raise InputError(
            f"a config.php is Moodle's, and this is {answers.kind}", fix="--kind moodle"
        )
    moodle = read_config(answers.config) if answers.config is not None else None
    engine = _engine(answers, moodle)
    variables = _variables(engine, answers, moodle)
    text = "\n".join(_document(name, answers, engine, moodle)) + "\n"
    # Read back before it is kept: what is written always loads.
    spec.parse(text, str(path))
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return Written(path, variables)


# Moodle


@dataclass(frozen=True)
class Moodle:
    """What a config.php says, but for its secrets."""

    engine: Engine
    dataroot: Path
    host: str | None
    port: int | None
    socket: str | None
    database: str | None
    prefix: str
    url: str | None


def read_config(path: Path) -> Moodle:
    """Database, data folder and address of a Moodle site, as its config.php says them.

    Raises:
        InputError: it cannot be read, names no data folder, or a database that is not migrated.
    """
    try:
        text = path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cannot be read", where=str(path), why=str(error)) from error
    text = re.sub(r"^\s*(//|#).*$", "", text, flags=re.MULTILINE)
    plain = r"(?:'([^']*)'|\"([^\"$]*)\")"
    found = {
        key: one or other
        for key, one, other in re.findall(
            rf"\$CFG->(dataroot|dbhost|dbname|dbtype|prefix|wwwroot)\s*=\s*{plain}", text
        )
    }
    options = {
        key: one or other or number
        for key, one, other, number in re.findall(
            rf"['\"](dbport|dbsocket)['\"]\s*=>\s*(?:{plain}|(\d+))", text
        )
    }
    if not found.get("dataroot"):
        raise InputError(
            "names no dataroot as a plain text",
            where=str(path),
            fix="give Moodle's own config.php, or leave it out and say --files FOLDER=TARGET",
        )
    kind = found.get("dbtype", "pgsql")
    if kind not in _MOODLE_ENGINES:
        raise InputError(
            f"its database is {kind}; PostgreSQL and MariaDB are what is migrated",
            where=f"{path}: $CFG->dbtype",
            fix="SQL Server and Oracle go through DMS: init --engine sqlserver, without --config",
        )
    # Some sites write the port behind the host.
    host, _, port = found.get("dbhost", "").partition(":")
    port = options.get("dbport") or port
    socket = options.get("dbsocket") or None
    if host.startswith("/"):
        host, socket = "", host
    return Moodle(
        _MOODLE_ENGINES[kind],
        Path(found["dataroot"]),
        host or None,
        int(port) if port.isdigit() else None,
        # `1` and `true` mean the driver's own place.
        socket,
        found.get("dbname"),
        found.get("prefix", ""),
        found.get("wwwroot"),
    )


def _engine(answers: Answers, moodle: Moodle | None) -> Engine:
    if moodle is not None:
        if answers.engine not in (None, moodle.engine):
            raise InputError(
                f"config.php says {moodle.engine}, not {answers.engine}",
                where=str(answers.config),
                fix="leave --engine out",
            )
        return moodle.engine
    return answers.engine or "postgresql"


# The text


def _quoted(value: str) -> str:
    """A value of YAML, which takes JSON's strings."""
    return json.dumps(value, ensure_ascii=False)


def _flow(values: Iterable[str]) -> str:
    return f"[{', '.join(_quoted(each) for each in values)}]"


def _variables(engine: Engine, answers: Answers, moodle: Moodle | None) -> dict[str, str]:
    """Variable -> a connection string with its password left out."""
    if engine in ("oracle", "sqlserver"):
        found = {}
        scheme, port, host, database = "postgresql", 5432, "HOST", "lms"
    else:
        scheme, port = engine, _PORTS[engine]
        host = (moodle and moodle.host) or "HOST"
        database = (moodle and moodle.database) or "DATABASE"
        at = f"{(moodle and moodle.port) or port}/{database}"
        found = {
            "SOURCE_DSN": f"{scheme}://migration:PASSWORD@{host}:{at}",
            "SOURCE_PEER_DSN": f"{scheme}://migration:PASSWORD@HOST_AS_AWS_SEES_IT:{at}",
        }
    if answers.target_stack is None:
        found["TARGET_DSN"] = f"{scheme}://migration:PASSWORD@HOST:{port}/{database}"
        found["TARGET_PEER_DSN"] = f"{scheme}://migration:PASSWORD@HOST:{port}/{database}"
    found |= _rehearsal_variables(engine, scheme, port, answers)
    return found


def _rehearsal_variables(
    engine: Engine, scheme: str, port: int, answers: Answers
) -> dict[str, str]:
    if answers.target_stack is not None and engine != "mariadb":
        return {}
    place = "mysql" if engine == "mariadb" else "postgres"
    names = ["REHEARSAL_DSN", "REHEARSAL_PEER_DSN"]
    if engine == "mariadb":
        names += ["REHEARSAL_TARGET_DSN", "REHEARSAL_TARGET_PEER_DSN"]
    return dict.fromkeys(names, f"{scheme}://migration:PASSWORD@SCRATCH_HOST:{port}/{place}")


def _document(name: str, answers: Answers, engine: Engine, moodle: Moodle | None) -> Iterable[str]:
    preset = PRESETS[answers.kind]
    yield f"# Migration {name}. Secrets are named, never written: env:NAME, file:PATH, secret:ARN"
    yield "# or, for a target that firstbell built, stack:NAME."
    yield "version: 1"
    yield ""
    yield from _databases(answers, engine, moodle)
    yield ""
    yield from _files(answers, preset, moodle)
    yield ""
    yield from _application(answers, preset, moodle)
    yield ""
    yield from _SWITCH
    yield ""
    yield "# How long users may be without the site."
    yield f"window: {_quoted(answers.window)}"
    yield ""
    yield from _rehearsal(name, answers, engine)
    yield ""
    yield from _GATE


def _databases(answers: Answers, engine: Engine, moodle: Moodle | None) -> Iterable[str]:
    if engine in ("oracle", "sqlserver"):
        yield from _dms(engine, answers)
        return
    yield "# dsn: how this runner reaches the database, with an administrator's account of the"
    yield "# migration's own. peer_dsn: how the *other* server reaches it; its user is not used."
    if moodle is not None:
        yield from _of_config(moodle)
    yield 'source: {dsn: "env:SOURCE_DSN", peer_dsn: "env:SOURCE_PEER_DSN"}'
    yield from _target(answers)


def _of_config(moodle: Moodle) -> Iterable[str]:
    where = f"{moodle.host or 'localhost'}{f':{moodle.port}' if moodle.port else ''}"
    yield (
        f"# config.php: {moodle.engine}, database {moodle.database or '?'} at {where},"
        f" tables {moodle.prefix}*"
    )
    if moodle.socket is not None:
        yield f"# config.php connects by a socket ({moodle.socket}); this runner and AWS need TCP:"
        yield "# let the server listen on an address that both reach."


def _target(answers: Answers) -> Iterable[str]:
    if answers.target_stack is not None:
        yield "# Address and password from the stack's outputs and its managed secret."
        yield f"target: {{stack: {_quoted(answers.target_stack)}}}"
        return
    yield "# free_space of the target's disk, such as 500GB, is checked where it is named."
    yield 'target: {dsn: "env:TARGET_DSN", peer_dsn: "env:TARGET_PEER_DSN"}'


def _dms(engine: Engine, answers: Answers) -> Iterable[str]:
    source, schema = ("ORCL", "LMS") if engine == "oracle" else ("lms", "dbo")
    yield "# AWS DMS carries the database, one way: `switch` is the point of no return. Replace the"
    yield "# ARNs by your own; the secrets hold host, port, user and password."
    yield "dms:"
    yield "  replication_instance_arn: arn:aws:dms:eu-north-1:111122223333:rep:REPLACE"
    yield "  source:"
    yield f"    engine: {engine}"
    yield f"    database: {source}"
    yield "    secret_arn: arn:aws:secretsmanager:eu-north-1:111122223333:secret:REPLACE-source"
    yield "    access_role_arn: arn:aws:iam::111122223333:role/REPLACE"
    yield "    # Take every application's login away and end its sessions; give the logins back."
    yield "    lock: [./dms/lock]"
    yield "    unlock: [./dms/unlock]"
    yield "    # Writes as the application would: it must work before lock and fail after it."
    yield "    probe: ./dms/probe"
    yield "    # Commits its last argument as a row of token_table."
    yield "    token: ./dms/token"
    yield "    # Prints `sequence value` lines; without it sequences follow their columns."
    yield "    # sequences: ./dms/sequences"
    yield "  target:"
    yield "    secret_arn: arn:aws:secretsmanager:eu-north-1:111122223333:secret:REPLACE-target"
    yield "    access_role_arn: arn:aws:iam::111122223333:role/REPLACE"
    yield "  # Each schema of the source, and what it is called on the target."
    yield f"  schemas: {{{schema}: lms}}"
    yield "  # `token text primary key`, on both sides."
    yield "  token_table: lms.firstbell_token"
    yield "# The target: PostgreSQL with the schema in place (DMS Schema Conversion)."
    yield from _target(answers)


def _files(answers: Answers, preset: Preset, moodle: Moodle | None) -> Iterable[str]:
    trees: list[tuple[str, str, str, str]] = []
    if moodle is not None:
        trees.append(("moodledata", str(moodle.dataroot), _place(answers, "moodledata"), "moodle"))
    for number, (source, target) in enumerate(answers.files, start=1):
        layout = "moodle" if answers.kind == "moodle" and not trees else "plain"
        trees.append((f"files-{number}", str(source), _given(target), layout))
    yield "# Trees of files that this runner mounts, read and write. target: a path; {mount, path}"
    yield "# for a file system that must stay mounted; {bucket, prefix} for S3; {stack, path}."
    if trees:
        yield "files:"
        for tree, source, target, layout in trees:
            yield (
                f"  - {{name: {tree}, source: {_quoted(source)}, target: {target},"
                f" layout: {layout}}}"
            )
        return
    if preset.files is not None:
        tree, source, layout = preset.files
        yield f"#  - {{name: {tree}, source: {source}, target: /mnt/efs/{tree}, layout: {layout}}}"
    yield "files: []"


def _place(answers: Answers, tree: str) -> str:
    if answers.target_stack is not None:
        return f"{{stack: {_quoted(answers.target_stack)}, path: {tree}}}"
    return _quoted(f"/mnt/efs/{tree}")


def _given(target: str) -> str:
    """`s3://BUCKET/PREFIX` or a path."""
    bucket = re.fullmatch(r"s3://([^/]+)/?(.*)", target)
    if bucket is None:
        return _quoted(target)
    return f"{{bucket: {_quoted(bucket[1])}, prefix: {_quoted(bucket[2])}}}"


def _application(answers: Answers, preset: Preset, moodle: Moodle | None) -> Iterable[str]:
    yield "# Commands run on this runner without a shell, and may run twice after a crash."
    for note in preset.notes:
        yield f"# {note}"
    yield "application:"
    yield f"  kind: {answers.kind}"
    for side, web in (("source", answers.web), ("target", answers.target_web)):
        yield f"  {side}:"
        yield from (f"    {line}" for line in _side(preset, web))
    yield "  # `before` runs over the private address before users come, `after` from outside; a"
    yield "  # command succeeds when it exits 0. Those in ./smoke are yours to write; they are told"
    yield "  # where the application answers."
    yield "  smoke:"
    url = answers.url or (moodle and moodle.url) or "https://lms.example.org"
    yield from _smoke(preset, answers.target_web, before=answers.private_url, after=url)


def _side(preset: Preset, web: str) -> Iterable[str]:
    """How the application is stopped and started on one host."""
    for key in ("maintenance_on", "stop", "start", "maintenance_off"):
        commands: Sequence[str] = getattr(preset, key)
        if commands:
            yield f"{key}: {_flow(each.format(web=web) for each in commands)}"


def _smoke(preset: Preset, web: str, *, before: str, after: str) -> Iterable[str]:
    """Smoke tests of an application on a host, by the addresses where it answers."""
    for test in preset.smoke:
        base = (before if test.when == "before" else after).rstrip("/")
        what = f"name: {_quoted(test.name)}"
        if test.path is not None:
            what += f", url: {_quoted(base + test.path)}"
        if test.contains is not None:
            what += f", contains: {_quoted(test.contains)}"
        if test.command is not None:
            what += f", command: {_quoted(test.command.format(web=web, url=base))}"
        yield f"    - {{{what}, when: {test.when}}}"


_SWITCH: Final = (
    "# What sends users to the target, and back: commands, weighted records of Route 53, or both.",
    "switch:",
    "  to_target: [./switch to-target]",
    "  to_source: [./switch to-source]",
    "  # route53: {zone_id: Z0123456789, name: lms.example.org, source: on-premise, target: aws}",
    "  # How long resolvers may keep the old address.",
    "  old_ttl: 60s",
)


def _rehearsal(name: str, answers: Answers, engine: Engine) -> Iterable[str]:
    if engine == "mariadb":
        yield "# Two empty scratch servers, because MariaDB's replication joins servers."
        places = {
            "dsn": "env:REHEARSAL_DSN",
            "peer_dsn": "env:REHEARSAL_PEER_DSN",
            "target_dsn": "env:REHEARSAL_TARGET_DSN",
            "target_peer_dsn": "env:REHEARSAL_TARGET_PEER_DSN",
        }
    else:
        yield "# A scratch server for two scratch databases; the target's own will do."
        ours = f"stack:{answers.target_stack}" if answers.target_stack is not None else None
        places = {
            "dsn": ours or "env:REHEARSAL_DSN",
            "peer_dsn": ours or "env:REHEARSAL_PEER_DSN",
        }
    yield "rehearsal:"
    for key, reference in places.items():
        yield f"  {key}: {_quoted(reference)}"
    yield from _stand_ins(name, answers, engine)


def _stand_ins(name: str, answers: Answers, engine: Engine) -> Iterable[str]:
    """What a rehearsal runs in the place of the application's commands."""
    if answers.rehearsal_web is None:
        yield "  # Stop, start, switch and smoke tests have no stand-in, so a rehearsal's record"
        yield "  # names them as not exercised: init --rehearsal-web HOST writes them."
        return
    preset, web = PRESETS[answers.kind], answers.rehearsal_web
    url = answers.rehearsal_url or f"http://{web}"
    base = f"firstbell_{name.replace('-', '_')}_r"
    yield "  # An application of its own plays both sides. ./rehearsal/switch is yours to write: it"
    if engine == "mariadb":
        yield "  # points that application at the scratch server that is open,"
    else:
        yield f"  # points that application at the scratch database that is open, {base}_target or"
        yield f"  # {base}_source,"
    yield "  # by an account of your own."
    yield from (f"  {line}" for line in _side(preset, web))
    yield "  switch:"
    yield "    to_target: [./rehearsal/switch to-target]"
    yield "    to_source: [./rehearsal/switch to-source]"
    yield "  smoke:"
    yield from _smoke(preset, web, before=url, after=url)


_GATE: Final = (
    "# Each by a command that exits 0, or by a person's word: WHO, WHEN.",
    "gate:",
    *(f'  - {{name: {each}, attested: "{spec.NOBODY}"}}' for each in spec.REQUIRED_GATE),
)
