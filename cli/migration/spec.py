"""The migration file `stacks/migrations/NAME.yaml`: what moves, how the application is stopped.

Secrets never stand in it: a connection is named by a reference (`env:`, `file:` or `secret:`) that
is resolved when it is used. All errors of a file are reported together, each with its key.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Final, Literal, Self, cast

import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    Tag,
    ValidationError,
    model_validator,
)

from cli.migration.durations import parse_duration, show_duration
from cli.migration.references import REFERENCE, of_stack
from infra.errors import InputError, Problem, Problems, nearest

_NAME: Final = re.compile(r"[a-z][a-z0-9_-]{0,30}")
_STACK: Final = re.compile(r"stack:[A-Za-z0-9._-]+(@[^@\s:]+:\d{1,5})?")


def _reference(text: str) -> str:
    if text.startswith("stack:") and not _STACK.fullmatch(text):
        raise ValueError("write stack:NAME, or stack:NAME@HOST:PORT for another way to it")
    if not REFERENCE.match(text):
        raise ValueError(
            "names no secret: write env:NAME, file:PATH, secret:ARN or stack:NAME, never the secret"
            " itself"
        )
    return text


def _command(value: object) -> object:
    if isinstance(value, str):
        words = shlex.split(value)
        if not words:
            raise ValueError("is empty")
        return words
    return value


Duration = Annotated[timedelta, BeforeValidator(parse_duration), PlainSerializer(show_duration)]
Reference = Annotated[str, AfterValidator(_reference)]
# A command runs without a shell; a string is split as a shell would split it.
Command = Annotated[list[str], BeforeValidator(_command), Field(min_length=1)]


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Database(_Model):
    """One side's database: as the runner reaches it, and as the other server reaches it."""

    dsn: Reference
    peer_dsn: Reference
    # In their place, for a target that firstbell built: the stack's name, and where its own
    # endpoint is not the way to it, HOST:PORT as the runner and as the other server go.
    stack: str | None = None
    endpoint: str | None = None
    peer_endpoint: str | None = None
    # Free space on its disk, as a person looked it up: SQL cannot see it.
    free_space: str | None = Field(default=None, pattern=r"^\d+(MB|GB|TB)$")

    @model_validator(mode="before")
    @classmethod
    def _of_a_stack(cls, value: object) -> object:
        """`stack: NAME` is short for both references."""
        if not isinstance(value, dict):
            return value
        given = cast("dict[str, object]", value)
        stack = given.get("stack")
        if stack is None:
            if "endpoint" in given or "peer_endpoint" in given:
                raise ValueError("endpoint and peer_endpoint belong to stack: NAME")
            return given
        if "dsn" in given or "peer_dsn" in given:
            raise ValueError("needs either dsn and peer_dsn, or stack; not both")
        way = given.get("endpoint")
        peer = given.get("peer_endpoint", way)
        return given | {"dsn": of_stack(stack, way), "peer_dsn": of_stack(stack, peer)}

    @property
    def free_bytes(self) -> int | None:
        """Free space in bytes, or None when nobody said."""
        if self.free_space is None:
            return None
        units = {"MB": 10**6, "GB": 10**9, "TB": 10**12}
        return int(self.free_space[:-2]) * units[self.free_space[-2:]]


class DmsSecret(_Model):
    """What DMS reads a database's host, user and password from: no password passes through us."""

    secret_arn: str = Field(pattern=r"^arn:aws[\w-]*:secretsmanager:")
    # The role by which DMS may read the secret.
    access_role_arn: str = Field(pattern=r"^arn:aws[\w-]*:iam:")


class DmsSource(DmsSecret):
    """An Oracle or SQL Server database. The runner reaches it by commands of yours alone."""

    engine: Literal["oracle", "sqlserver"]
    database: str
    # Take every application's login away and end its sessions; give the logins back.
    lock: list[Command] = Field(min_length=1)
    unlock: list[Command] = Field(min_length=1)
    # Writes a row as the application would: exits 0 when that worked. It must fail once locked.
    probe: Command
    # Commits a row into `token_table`; the token is its last argument. It must work when locked.
    token: Command
    # Prints `sequence-of-the-target value` lines; without it sequences follow their columns.
    sequences: Command | None = None


class Dms(_Model):
    """A migration through AWS DMS, which runs one way: `switch` is the point of no return."""

    replication_instance_arn: str = Field(pattern=r"^arn:aws[\w-]*:dms:[\w-]+:\d{12}:rep:")
    source: DmsSource
    target: DmsSecret
    # The source's schemas and what each is called on the target.
    schemas: dict[str, str] = Field(min_length=1)
    # On the target, with a column `token`; DMS carries it like any other table.
    token_table: str = Field(pattern=r"^[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$")

    @property
    def region(self) -> str:
        """The Region of the replication instance."""
        return self.replication_instance_arn.split(":")[3]


class Side(_Model):
    """How the application is stopped and started on one side."""

    stop: list[Command] = []
    start: list[Command] = []
    maintenance_on: list[Command] = []
    maintenance_off: list[Command] = []


class Smoke(_Model):
    """One smoke test: a command that exits 0, or an address that answers."""

    name: str
    command: Command | None = None
    url: str | None = None
    status: int = 200
    contains: str | None = None
    # Over the private address before users are let in, or from outside afterwards.
    when: Literal["before", "after"] = "before"
    timeout: Duration = timedelta(seconds=30)

    @model_validator(mode="after")
    def _one_kind(self) -> Smoke:
        if (self.command is None) == (self.url is None):
            raise ValueError("needs either command or url")
        return self


class Application(_Model):
    """The application, and the commands that act on it; they run on the runner."""

    kind: Literal["moodle", "openedx", "canvas", "generic"]
    source: Side
    target: Side
    smoke: list[Smoke] = []

    @model_validator(mode="after")
    def _stoppable(self) -> Application:
        for name, side in (("source", self.source), ("target", self.target)):
            if not side.stop:
                raise ValueError(
                    f"{name}.stop is missing: web servers and jobs must stop before the fence"
                )
        return self


class Route53(_Model):
    """Two weighted records of one name; the side gets all the weight."""

    zone_id: str
    name: str
    type: Literal["A", "AAAA", "CNAME"] = "A"
    # Their set identifiers.
    source: str
    target: str


class Ways(_Model):
    """Commands that send users to the target, and back."""

    to_target: list[Command] = []
    to_source: list[Command] = []

    @model_validator(mode="after")
    def _both_ways(self) -> Self:
        if bool(self.to_target) != bool(self.to_source):
            raise ValueError("to_target and to_source belong together: one takes the other back")
        return self


class Switch(Ways):
    """What sends users to the target, and back: commands, Route 53 records, or both."""

    route53: Route53 | None = None
    # How long resolvers may keep the old address.
    old_ttl: Duration = timedelta(seconds=60)


class Target(_Model):
    """Where files go when it is no plain path: an S3 bucket, or a file system on a mount point."""

    # S3, with the rest of boto3's usual settings from the environment.
    bucket: str | None = None
    prefix: str = ""
    # Another S3 than AWS's own: http://HOST:PORT.
    endpoint: str | None = None
    region: str | None = None
    # EFS or NFS: something must be mounted exactly here, all the time.
    mount: Path | None = None
    # The file system of a stack that firstbell built; it is looked for where none is named.
    stack: str | None = None
    # The tree's folder below the mount point.
    path: str = ""

    @model_validator(mode="after")
    def _one_kind(self) -> Target:
        if (self.bucket is None) == (self.mount is None and self.stack is None):
            raise ValueError(
                "needs a path, or bucket: NAME, or mount: PATH and stack: NAME; exactly one"
            )
        if self.bucket is None and (self.prefix or self.endpoint or self.region):
            raise ValueError("prefix, endpoint and region belong to a bucket")
        if self.endpoint is not None and not re.fullmatch(r"https?://[^\s/]+/?", self.endpoint):
            raise ValueError("endpoint is written http://HOST:PORT or https://HOST")
        if self.bucket is not None and self.path:
            raise ValueError("path belongs to a mount; a bucket has a prefix")
        if self.path.startswith("/") or ".." in self.path.split("/"):
            raise ValueError("path is relative to the mount point")
        return self

    def __str__(self) -> str:
        if self.bucket is None:
            return str((self.mount or Path(f"the files of stack {self.stack}")) / self.path)
        prefix = f"{self.prefix.strip('/')}/" if self.prefix.strip("/") else ""
        return f"s3://{self.bucket}/{prefix}"


def _kind_of_target(value: object) -> str:
    return "place" if isinstance(value, (dict, Target)) else "path"


class Files(_Model):
    """A tree of files that both sides use."""

    name: str = Field(pattern=r"^[a-z][a-z0-9_-]*$")
    source: Path
    target: Annotated[
        Annotated[Path, Tag("path")] | Annotated[Target, Tag("place")],
        Discriminator(_kind_of_target),
    ]
    # `moodle` leaves caches out and unites `filedir`, whose names are the SHA-1 of the content.
    layout: Literal["plain", "moodle"] = "plain"
    exclude: list[str] = []


class Gate(_Model):
    """One item of the go/no-go list: a command that exits 0, or a named person's word."""

    name: str
    command: Command | None = None
    attested: str | None = Field(default=None, description="who, and when")

    @model_validator(mode="after")
    def _one_kind(self) -> Gate:
        if (self.command is None) == (self.attested is None):
            raise ValueError("needs either command or attested: WHO, WHEN")
        return self


class Rehearsal(Side):
    """A scratch server, and what stands in for the application's commands on it.

    One application plays both sides: its commands run wherever those of source or target would.
    """

    dsn: Reference
    peer_dsn: Reference
    # A second scratch server, for MariaDB: its replication joins servers, not databases.
    target_dsn: Reference | None = None
    target_peer_dsn: Reference | None = None
    # What points that application at the scratch database that is open.
    switch: Ways = Ways()
    smoke: list[Smoke] = []

    @model_validator(mode="after")
    def _both(self) -> Rehearsal:
        if bool(self.stop) != bool(self.start):
            raise ValueError("stop and start belong together: one takes the other back")
        return self


class Spec(_Model):
    """A whole migration."""

    version: Literal[1]
    # Left out where DMS carries an Oracle or SQL Server database.
    source: Database | None = None
    target: Database
    dms: Dms | None = None
    files: list[Files] = []
    application: Application
    switch: Switch
    window: Duration = timedelta(hours=3)
    rehearsal: Rehearsal | None = None
    gate: list[Gate] = []
    # The most WAL that a side keeps for a stalled other side before it gives the slot up.
    retained_wal: str = Field(default="64GB", pattern=r"^\d+(MB|GB|TB)$")

    @model_validator(mode="after")
    def _trees_apart(self) -> Spec:
        """A target in another's would be missing on that one's source."""
        for number, one in enumerate(self.files):
            for other in self.files[number + 1 :]:
                if one.name == other.name:
                    raise ValueError(f"files: two trees are called {one.name}")
                places = [f"{str(each.target).rstrip('/')}/" for each in (one, other)]
                inner, outer = sorted((places[0], places[1]), key=len, reverse=True)
                if inner.startswith(outer):
                    raise ValueError(
                        f"files: {one.name} and {other.name} go to one place, {outer}: give each"
                        " its own"
                    )
        return self

    @model_validator(mode="after")
    def _one_source(self) -> Spec:
        if (self.source is None) == (self.dms is None):
            raise ValueError("needs either source, or dms for Oracle and SQL Server")
        if self.source is not None and self.source.dsn.startswith("stack:"):
            raise ValueError("source.stack: a stack is only ever the target")
        return self


# What `init` writes in the place of a person's word; it attests nothing.
NOBODY: Final = "WHO, WHEN"
# The gate's items that every migration must answer, by command or by a person's word.
REQUIRED_GATE: Final = ("backup restored", "dns ttl lowered", "secrets equal")


def check_name(path: Path) -> None:
    """Raises InputError when the file's name cannot name slots, roles and publications."""
    # A rehearsal of migration x is called x-r on its servers.
    if not _NAME.fullmatch(path.stem) or path.stem.endswith(("-r", "_r")):
        raise InputError(
            f"{path.stem!r} cannot name a migration",
            where=str(path),
            why="slots, roles and publications are named after it",
            fix="use small letters, digits, - and _, beginning with a letter, at most 31,"
            " not ending in -r",
        )


def load(path: Path) -> Spec:
    """Read a migration file.

    Raises:
        InputError: the file is missing or is not YAML.
        Problems: keys are unknown, missing or wrong; all of them.
    """
    check_name(path)
    try:
        text = path.read_text()
    except FileNotFoundError as error:
        raise InputError("no such file", where=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("not readable as YAML", where=str(path), why=str(error)) from error
    return parse(text, str(path))


def parse(text: str, where: str) -> Spec:
    """Read the text of a migration file.

    Raises:
        InputError: it is not YAML.
        Problems: keys are unknown, missing or wrong; all of them.
    """
    try:
        raw: object = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise InputError("not readable as YAML", where=where, why=str(error)) from error
    if not isinstance(raw, dict):
        raise InputError(
            "the file is empty" if raw is None else "the file holds no keys",
            where=where,
            fix="firstbell migrate init NAME writes a commented one",
        )
    try:
        return Spec.model_validate(raw)
    except ValidationError as error:
        raise Problems(where, _problems(error)) from error


# pydantic names the kind of a value beside its key; no key of ours is called so in a list of kinds.
_TAGS: Final = ("place",)


def _problems(error: ValidationError) -> list[Problem]:
    problems: list[Problem] = []
    for item in error.errors(include_input=False, include_url=False):
        location = [part for part in item["loc"] if part not in _TAGS]
        key = ".".join(str(part) for part in location) or "the file"
        message, fix = item["msg"].removeprefix("Value error, "), None
        if item["type"] == "extra_forbidden":
            message = "unknown key"
            close = nearest(str(location[-1]), _known_keys(location[:-1]))
            fix = f"did you mean {close}?" if close else None
        elif item["type"] == "missing":
            message = "is missing"
        problems.append(Problem(key, message, fix))
    return problems


def _known_keys(location: Sequence[str | int]) -> list[str]:
    model: type[BaseModel] = Spec
    for part in location:
        if isinstance(part, int):
            continue
        field = model.model_fields.get(part)
        inner = _model_in(field.annotation) if field else None
        if inner is None:
            return []
        model = inner
    return list(model.model_fields)


def _model_in(annotation: object) -> type[BaseModel] | None:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    for inner in getattr(annotation, "__args__", ()):
        if (found := _model_in(inner)) is not None:
            return found
    return None
