"""Writes a migration file to start from; for Moodle it takes what its config.php knows."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from cli.migration import named, spec
from infra.errors import InputError

_TEMPLATE: Final = """\
# Migration {name}. Secrets are named, never written: env:NAME, file:PATH or secret:ARN.
version: 1

# dsn: how this runner reaches the database, as a superuser of the migration's own:
# postgresql://USER:PASSWORD@HOST:PORT/DATABASE or mariadb://USER:PASSWORD@HOST:PORT/DATABASE.
# peer_dsn: how the *other* server reaches it; the subscriber pulls. Its user is not used.
source: {{dsn: "env:SOURCE_DSN", peer_dsn: "env:SOURCE_PEER_DSN"}}{source_hint}
target: {{dsn: "env:TARGET_DSN", peer_dsn: "env:TARGET_PEER_DSN"}}

# Trees of files that the runner mounts on both sides, read and write.
{files}
# Commands run on this runner without a shell, and may run twice after a crash.
application:
  kind: {kind}
  source:
    stop: [ssh web.example.org sudo systemctl stop nginx cron]
    start: [ssh web.example.org sudo systemctl start nginx cron]
  target:
    stop: [ssh web.aws.example.org sudo systemctl stop nginx cron]
    start: [ssh web.aws.example.org sudo systemctl start nginx cron]
  smoke:
    # `before` runs over the private address before users come, `after` from outside.
    - {{name: front page, url: "http://10.0.0.10/", when: before}}
    - {{name: sign in, command: ./smoke/sign-in, when: after}}

switch:
  to_target: [./switch to-target]
  to_source: [./switch to-source]
  old_ttl: 60s

window: 3h

# A scratch server for rehearsals; the target's own server will do. MariaDB needs two empty ones:
# the second as target_dsn and target_peer_dsn.
rehearsal: {{dsn: "env:REHEARSAL_DSN", peer_dsn: "env:REHEARSAL_PEER_DSN"}}

# Each by a command that exits 0, or by a person's word.
gate:
  - {{name: backup restored, attested: "WHO, WHEN"}}
  - {{name: dns ttl lowered, attested: "WHO, WHEN"}}
  - {{name: secrets equal, attested: "WHO, WHEN"}}
"""


def write(name: str, kind: str, config: Path | None = None) -> Path:
    """Write `stacks/migrations/NAME.yaml` and check that it can be read back.

    Raises:
        InputError: the file is there already, the name cannot be used, or config.php says nothing.
    """
    path = named.folder() / f"{name}.yaml"
    spec.check_name(path)
    if path.exists():
        raise InputError("there is such a file", where=str(path), fix="take another name")
    found = _moodle(config) if config is not None else {}
    files = "files: []\n"
    if root := found.get("dataroot"):
        files = (
            f"files:\n  - {{name: moodledata, source: {root}, target: /mnt/efs/moodledata,"
            " layout: moodle}\n"
        )
    hint = ""
    if found.get("dbhost"):
        hint = f"  # config.php: {found.get('dbname')} at {found['dbhost']}"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(_TEMPLATE.format(name=name, kind=kind, files=files, source_hint=hint))
    spec.load(path)
    return path


def _moodle(config: Path) -> dict[str, str]:
    """Data folder, database host and name; never the password."""
    try:
        text = config.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError("cannot be read", where=str(config), why=str(error)) from error
    found = dict(
        re.findall(
            r"^\s*\$CFG->(dataroot|dbhost|dbname|dbtype)\s*=\s*'([^']*)'", text, re.MULTILINE
        )
    )
    if "dataroot" not in found:
        raise InputError("names no dataroot", where=str(config), fix="give Moodle's own config.php")
    # Older sites name a MariaDB server mysqli; preflight refuses MySQL itself.
    if found.get("dbtype", "pgsql") not in ("pgsql", "mariadb", "mysqli"):
        raise InputError(
            f"its database is {found['dbtype']}; PostgreSQL and MariaDB are what is migrated",
            where=str(config),
        )
    return found
