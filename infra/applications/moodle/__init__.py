"""A Moodle node on Debian 12: nginx and php-fpm for web nodes, cron for workers.

Rendered here from settings and endpoints; the files themselves are the templates beside. Secrets
are in none of them: the node fetches them by its role, into memory.

Not run on AWS: what the tests prove is that cloud-init, nginx, php-fpm and PHP accept the files,
and what Moodle reads from config.php.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from infra import instances
from infra.applications.user_data import TLS_FOLDER, answers
from infra.settings.applications import MoodleApplication

if TYPE_CHECKING:
    from infra.applications import NodeArgs

# Debian 12's own packages: nginx 1.22, PHP 8.2. Debian's sodium is part of php-common.
PHP: Final = "8.2"
_PACKAGES: Final = (
    "awscli",
    "ca-certificates",
    "curl",
    "nfs-common",
    "php8.2-cli",
    "php8.2-curl",
    "php8.2-gd",
    "php8.2-intl",
    "php8.2-mbstring",
    "php8.2-opcache",
    "php8.2-redis",
    "php8.2-soap",
    "php8.2-xml",
    "php8.2-zip",
)
_DRIVER: Final = {"aurora-postgresql": "pgsql", "aurora-mysql": "auroramysql"}
# A 12-vCPU node served 2,000 quiz users with 90 children, CPU being the limit: Udelar, 2026.
CHILDREN_PER_VCPU: Final = 7.5
# The first release whose web root is the folder `public`.
_PUBLIC_SINCE: Final = (5, 1)


@dataclass(frozen=True)
class Folders:
    """Where things are on a node; tests put them elsewhere."""

    code: str = "/srv/moodle"
    # The shared file system.
    data: str = "/srv/moodledata"
    # Local to the node: what it can make anew.
    local: str = "/var/cache/moodle"
    # In memory, gone with the node.
    secrets: str = "/run/moodle"
    # The node's own certificate.
    tls: str = TLS_FOLDER


@dataclass(frozen=True)
class Node:
    """All that the templates need."""

    role: str
    port: int
    protocol: str
    health: str
    host: str
    children: int
    application: MoodleApplication
    environment: Mapping[str, str]
    behind_cdn: bool = False
    folders: Folders = field(default_factory=Folders)

    @property
    def version(self) -> tuple[int, ...]:
        return tuple(map(int, self.application.version.split(".")))

    @property
    def url(self) -> str:
        """The release's download."""
        major, minor = self.version[:2]
        return (
            f"https://packaging.moodle.org/stable{major}{minor:02}"
            f"/moodle-{self.application.version}.tgz"
        )

    @property
    def web_root(self) -> str:
        inside = "/public" if self.version[:2] >= _PUBLIC_SINCE else ""
        return self.folders.code + inside

    @property
    def driver(self) -> str:
        return _DRIVER[self.environment["DATABASE_ENGINE"]]

    @property
    def session_hosts(self) -> str:
        """The cache as Moodle's session handler takes it: several hosts are a cluster, each with
        its port; one is a single server, which of a cluster's keys would know only its own. A
        cluster has one endpoint, which therefore stands there twice."""
        endpoint = self.environment["CACHE_ENDPOINT"]
        if self.environment.get("CACHE_CLUSTER_MODE") != str(True):
            return endpoint
        return ",".join([f"{endpoint}:{self.environment['CACHE_PORT']}"] * 2)

    @property
    def packages(self) -> list[str]:
        database = "php8.2-pgsql" if self.driver == "pgsql" else "php8.2-mysql"
        web = ["nginx-light", "php8.2-fpm"] if self.role == "web" else []
        return sorted([*_PACKAGES, database, *web])


def node_of(args: NodeArgs, application: MoodleApplication, environment: Mapping[str, str]) -> Node:
    """The node of a web tier or of workers."""
    return Node(
        role=args.role,
        port=args.port,
        protocol=args.protocol,
        health=args.health,
        host=application.host or args.host,
        children=min(args.concurrency, children_for(args.instance_types)),
        application=application,
        environment=environment,
        behind_cdn=args.behind_cdn,
    )


def children_for(instance_types: tuple[str, ...]) -> int:
    """The most php-fpm children that the smallest of these types has CPU for."""
    vcpus = [
        described.vcpus
        for kind in instance_types
        if (described := instances.instance_type(kind)) is not None and described.vcpus
    ]
    return max(4, int(min(vcpus, default=2) * CHILDREN_PER_VCPU))


def config(node: Node) -> dict[str, Any]:
    """The cloud-config of a node."""
    return {
        "package_update": True,
        "packages": node.packages,
        "write_files": [
            {"path": path, "permissions": mode, "content": text}
            for path, (mode, text) in files(node).items()
        ],
        "runcmd": [["/usr/local/sbin/moodle-install"]],
    }


def files(node: Node) -> dict[str, tuple[str, str]]:
    """Every file that the node gets: path -> permissions and text."""
    units = "/etc/systemd/system"
    found = {
        "/etc/firstbell/moodle-config.php": ("0644", "config.php.j2"),
        "/usr/local/sbin/moodle-install": ("0755", "install.sh.j2"),
        "/usr/local/sbin/moodle-secrets": ("0755", "secrets.sh.j2"),
        f"{units}/moodle-secrets.service": ("0644", "secrets.service.j2"),
        f"{units}/moodle-secrets.timer": ("0644", "secrets.timer.j2"),
        f"/etc/php/{PHP}/mods-available/moodle.ini": ("0644", "php.ini.j2"),
    }
    if node.role == "web":
        found |= {
            "/etc/firstbell/nginx.conf": ("0644", "nginx.conf.j2"),
            "/etc/firstbell/fpm-pool.conf": ("0644", "fpm-pool.conf.j2"),
        }
    else:
        found |= {
            f"{units}/moodle-cron.service": ("0644", "cron.service.j2"),
            f"{units}/moodle-cron.timer": ("0644", "cron.timer.j2"),
        }
    return {path: (mode, render(template, node)) for path, (mode, template) in found.items()}


def render(template: str, node: Node) -> str:
    """One file of a node."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        undefined=StrictUndefined,
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
        autoescape=False,  # noqa: S701 (configuration files; values are quoted by `php`)
    )
    environment.filters["php"] = php_string
    return environment.get_template(template).render(
        node=node, folders=node.folders, env=node.environment, php_version=PHP
    )


def php_string(value: str) -> str:
    """A value as a PHP string in single quotes."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def ready(node: Node) -> list[str]:
    """What holds once the node may serve: commands that all succeed. None asks the database."""
    installed = f"test -e {node.folders.local}/installed"
    if node.role == "web":
        return [
            installed,
            *(answers(node.protocol, node.port, path) for path in (node.health, "/fpm-ping")),
        ]
    return [installed, "systemctl is-active --quiet moodle-cron.timer"]
