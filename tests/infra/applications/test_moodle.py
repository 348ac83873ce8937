"""A Moodle node: cloud-init, nginx, php-fpm and PHP themselves judge the rendered files."""

from __future__ import annotations

import configparser
import contextlib
import dataclasses
import getpass
import json
import re
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Generator, Iterator, Mapping
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.applications import NodeArgs, parts
from infra.applications.moodle import Folders, Node, children_for, config, files, node_of, ready
from infra.applications.user_data import SELF_SIGNED, encoded
from infra.settings.applications import MoodleApplication

SECRET = "correct'horse\\battery"

MOODLE = MoodleApplication.model_validate(
    {"kind": "moodle", "version": "4.5.8", "sha256": "a" * 64}
)
ENVIRONMENT: Mapping[str, str] = {
    "FIRSTBELL_STACK": "tiny",
    "AWS_REGION": "eu-north-1",
    "AWS_DEFAULT_REGION": "eu-north-1",
    "DATABASE_ENGINE": "aurora-postgresql",
    "DATABASE_WRITER_ENDPOINT": "writer.example",
    "DATABASE_READER_ENDPOINT": "reader.example",
    "DATABASE_PORT": "5432",
    "DATABASE_NAME": "lms",
    "DATABASE_SECRET_ARN": "arn:aws:secretsmanager:eu-north-1:123456789012:secret:database",
    "CACHE_ENDPOINT": "cache.example",
    "CACHE_PORT": "6379",
    "CACHE_SECRET_ARN": "arn:aws:secretsmanager:eu-north-1:123456789012:secret:cache",
    "FILES_ID": "fs-0123456789abcdef0",
    "FILES_ACCESS_POINT_ID": "fsap-0123456789abcdef0",
}
ARGS = NodeArgs(
    role="web",
    name="tiny-web",
    application=MOODLE,
    instance_types=("m7i.large",),
    port=443,
    protocol="HTTPS",
    health="/health",
    host="lms.example.org",
    concurrency=12,
)
WEB = node_of(ARGS, MOODLE, ENVIRONMENT)
WORKER = node_of(dataclasses.replace(ARGS, role="worker"), MOODLE, ENVIRONMENT)

Tool = Callable[..., subprocess.CompletedProcess[str]]


def tool(*names: str) -> Tool:
    """A program that the machine may lack: Debian's packages are in .ci/run."""
    found = next((path for name in names if (path := shutil.which(name))), None)
    if found is None:
        pytest.skip(f"{names[0]} is not installed; .ci/run installs it")

    def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return subprocess.run([found, *arguments], capture_output=True, text=True, check=False)

    return run


def text_of(node: Node, name: str) -> str:
    (found,) = (text for path, (_, text) in files(node).items() if path.endswith(name))
    return found


@pytest.mark.parametrize("node", [WEB, WORKER], ids=["web", "worker"])
def test_cloud_init_finds_the_cloud_config_valid(node: Node, tmp_path: Path) -> None:
    cloud_init = tool("cloud-init")
    path = tmp_path / "config.yaml"
    path.write_text("#cloud-config\n" + yaml.safe_dump(config(node)))
    judged = cloud_init("schema", "--config-file", path)
    assert judged.returncode == 0, judged.stdout + judged.stderr
    path.write_text("#cloud-config\n" + yaml.safe_dump(config(node) | {"packages": "nginx"}))
    assert cloud_init("schema", "--config-file", path).returncode != 0


def local_nginx(text: str) -> str:
    """The node's nginx.conf with what is the node's alone put aside."""
    return re.sub(r"/var/log/nginx/|/run/nginx", "", text)


def test_nginx_accepts_its_configuration(tmp_path: Path) -> None:
    nginx = tool("nginx", "/usr/sbin/nginx")
    path = tmp_path / "nginx.conf"
    here = dataclasses.replace(WEB, folders=Folders(tls=str(tmp_path)))
    path.write_text(local_nginx(text_of(here, "nginx.conf")))
    assert nginx("-t", "-q", "-p", tmp_path, "-c", path).returncode != 0, "no certificate yet"
    assert tool("bash")("-euc", SELF_SIGNED.format(folder=tmp_path)).returncode == 0
    assert (tmp_path / "tls.key").stat().st_mode & 0o777 == 0o600
    judged = nginx("-t", "-q", "-p", tmp_path, "-c", path)
    assert judged.returncode == 0, judged.stderr
    path.write_text(path.read_text().replace("server_tokens off;", "server_tokens off"))
    assert nginx("-t", "-q", "-p", tmp_path, "-c", path).returncode != 0


@pytest.mark.parametrize(
    ("behind_cdn", "forwarded", "visitor"),
    [
        (False, "192.0.2.7", "192.0.2.7"),
        (False, "10.9.9.9, 192.0.2.7", "192.0.2.7"),  # the browser's own word counts for nothing
        (False, "10.9.9.9,2001:db8::7", "2001:db8::7"),
        (False, "", "127.0.0.1"),  # the load balancer's health checks
        (True, "192.0.2.7, 203.0.113.5", "192.0.2.7"),
        (True, "10.9.9.9, 192.0.2.7, 203.0.113.5", "192.0.2.7"),
        (True, "192.0.2.7", "192.0.2.7"),  # directly, while the CDN comes
    ],
)
def test_php_is_told_the_visitors_address_and_not_the_balancers(
    tmp_path: Path, *, behind_cdn: bool, forwarded: str, visitor: str
) -> None:
    """Or a quiz for the exam room's network would let in nobody, and logs would name nobody."""
    args = dataclasses.replace(ARGS, protocol="HTTP", behind_cdn=behind_cdn)
    text = text_of(node_of(args, MOODLE, ENVIRONMENT), "nginx.conf")
    php = text[text.index("(?<script>") :]
    assert php.index("fastcgi_param REMOTE_ADDR $visitor;") > php.index("fastcgi_params;")
    text = text.replace(
        "location / {", "location = /who { return 200 $visitor; }\n location / {", 1
    )
    with serving(text, tmp_path) as site:
        assert answer(site + "/who", {"X-Forwarded-For": forwarded}) == visitor


@contextlib.contextmanager
def running(*command: str | Path) -> Generator[None]:
    """A server, stopped in the end."""
    found = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        found.terminate()
        found.wait()


@contextlib.contextmanager
def serving(text: str, folder: Path) -> Generator[str]:
    """nginx itself with a node's nginx.conf, as whoever runs the tests, on a port of its own."""
    tool("nginx", "/usr/sbin/nginx")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    text = local_nginx(text).replace("listen 443 ", f"listen 127.0.0.1:{port} ")
    path = folder / "nginx.conf"
    path.write_text(re.sub(r"(?m)^user .*$", f"user {getpass.getuser()};", text))
    nginx = shutil.which("nginx") or "/usr/sbin/nginx"
    with running(nginx, "-p", folder, "-c", path, "-g", "daemon off;"):
        yield f"http://127.0.0.1:{port}"


def answer(url: str, headers: Mapping[str, str] | None = None) -> str:
    """What a server says that is about to start; the status where that is an error."""
    request = urllib.request.Request(url, headers=dict(headers or {}))  # noqa: S310 (loopback)
    for _ in range(100):
        try:
            with urllib.request.urlopen(request) as said:  # noqa: S310 (loopback)
                return said.read().decode()
        except urllib.error.HTTPError as error:
            if error.code != HTTPStatus.BAD_GATEWAY:  # PHP is about to start, too
                return str(error.code)
        except urllib.error.URLError:
            pass
        time.sleep(0.05)
    raise AssertionError("it does not start")


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A site like Moodle's on nginx and php-fpm themselves, with the files of a node."""
    fpm = shutil.which("php-fpm8.2") or "/usr/sbin/php-fpm8.2"
    tool("php-fpm8.2", fpm)
    folder = tmp_path_factory.mktemp("node")
    code, data = folder / "code", folder / "data"
    for path, text in {
        code / "index.php": "<?php echo 'front page';",
        code / "config.php": "<?php echo 'config';",
        code / "r.php": "<?php echo 'routed ', $_SERVER['REQUEST_URI'], ' ', $_GET['q'] ?? '';",
        code / "pluginfile.php": "<?php header('X-Accel-Redirect: /firstbell-data/essay.txt');"
        " header('X-Path: ' . $_SERVER['PATH_INFO']);",
        code / "theme" / "style.css": "body{}",
        code / ".git" / "config": "secret",
        data / "essay.txt": "an essay",
    }.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    args = dataclasses.replace(ARGS, protocol="HTTP")
    node = dataclasses.replace(
        node_of(args, MOODLE, ENVIRONMENT), folders=Folders(code=str(code), data=str(data))
    )
    pool = re.sub(r"(?m)^(user|group|listen\.\w+) = .*\n", "", text_of(node, "fpm-pool.conf"))
    pool = pool.replace("/run/php/moodle.sock", str(folder / "php.sock"))
    # As root php-fpm wants to be told whom to be, and that root is meant.
    me = f"user = {getpass.getuser()}\n"
    head = f"[global]\nerror_log = {folder}/fpm.log\n"
    (folder / "fpm.conf").write_text(head + pool.replace("[moodle]\n", f"[moodle]\n{me}"))
    text = text_of(node, "nginx.conf").replace("/run/php/moodle.sock", str(folder / "php.sock"))
    with running(fpm, "-F", "-R", "-y", folder / "fpm.conf"), serving(text, folder) as address:
        yield address


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("/", "front page"),
        ("/theme/style.css", "body{}"),
        ("/health", "ok\n"),
        # Moodle's router takes what is no file; its own source must not be shown instead.
        ("/course/7/manage?q=1", "routed /course/7/manage?q=1 1"),
        # PHP says who may see a file, nginx sends it.
        ("/pluginfile.php/5/mod_assign/essay.txt", "an essay"),
        ("/firstbell-data/essay.txt", "404"),
        ("/config.php", "404"),
        ("/.git/config", "404"),
        ("/nothing.php", "404"),
    ],
)
def test_nginx_and_php_serve_what_moodle_asks_of_them(site: str, asked: str, said: str) -> None:
    assert answer(site + asked) == said


def test_php_fpm_accepts_its_pool(tmp_path: Path) -> None:
    fpm = tool("php-fpm8.2", "/usr/sbin/php-fpm8.2")
    path = tmp_path / "fpm.conf"
    head = f"[global]\nerror_log = {tmp_path}/fpm.log\n"
    path.write_text(head + text_of(WEB, "fpm-pool.conf"))
    judged = fpm("-t", "-y", path)
    assert judged.returncode == 0, judged.stderr
    path.write_text(path.read_text().replace("pm = static", "pm = sometimes"))
    assert fpm("-t", "-y", path).returncode != 0


@pytest.mark.parametrize("engine", ["aurora-postgresql", "aurora-mysql"])
@pytest.mark.parametrize("cache", [True, False])
def test_php_finds_no_error_in_config_php(tmp_path: Path, engine: str, *, cache: bool) -> None:
    php = tool("php")
    environment = dict(ENVIRONMENT) | {"DATABASE_ENGINE": engine}
    if not cache:
        environment = {k: v for k, v in environment.items() if not k.startswith("CACHE_")}
    text = text_of(dataclasses.replace(WEB, environment=environment), "config.php")
    path = tmp_path / "config.php"
    path.write_text(text)
    assert php("-l", path).returncode == 0
    path.write_text(text.replace("];", "]", 1))
    assert php("-l", path).returncode != 0


def moodle_sees(tmp_path: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """What `$CFG` holds after config.php ran, Moodle's own set-up replaced by a printer."""
    php = tool("php")
    folders = Folders(secrets=str(tmp_path / "secrets"), data=str(tmp_path / "data"))
    node = dataclasses.replace(WEB, environment=environment, folders=folders)
    (tmp_path / "lib").mkdir(exist_ok=True)
    (tmp_path / "lib" / "setup.php").write_text("<?php echo json_encode($CFG);")
    (tmp_path / "secrets").mkdir(exist_ok=True)
    for name, user in (("database", "lms"), ("cache", "sessions")):
        secret = {"username": user, "password": SECRET}
        (tmp_path / "secrets" / f"{name}.json").write_text(json.dumps(secret))
    (tmp_path / "config.php").write_text(text_of(node, "config.php"))
    ran = php("-d", "error_reporting=-1", "-d", "display_errors=stderr", tmp_path / "config.php")
    assert (ran.returncode, ran.stderr) == (0, "")
    return json.loads(ran.stdout)


def test_moodle_reads_from_the_replica_and_writes_to_the_writer(tmp_path: Path) -> None:
    """A real deployment bought a replica and pointed its reads at the primary."""
    seen = moodle_sees(tmp_path, ENVIRONMENT)
    assert (seen["dbtype"], seen["dbhost"], seen["dbname"]) == ("pgsql", "writer.example", "lms")
    assert (seen["dbuser"], seen["dbpass"]) == ("lms", SECRET)
    assert seen["dboptions"]["readonly"] == {
        "instance": [
            {"dbhost": "reader.example", "dbport": 5432, "dbuser": "lms", "dbpass": SECRET}
        ],
        "connecttimeout": 2,
        "latency": 1,
    }
    # That one is for poolers, and would send reads nowhere.
    assert "dbhandlesoptions" not in seen["dboptions"]
    assert seen["dboptions"]["ssl"] == "require"


def test_sessions_live_in_the_cache_encrypted_and_locked(tmp_path: Path) -> None:
    seen = moodle_sees(tmp_path, ENVIRONMENT)
    assert seen["session_handler_class"] == "\\core\\session\\redis"
    assert (seen["session_redis_host"], seen["session_redis_port"]) == ("cache.example", 6379)
    assert seen["session_redis_encrypt"] == {"verify_peer": True, "verify_peer_name": True}
    assert seen["session_redis_auth"] == ["sessions", SECRET]
    assert seen["session_redis_acquire_lock_timeout"] == 120
    without = {k: v for k, v in ENVIRONMENT.items() if not k.startswith("CACHE_")}
    assert moodle_sees(tmp_path, without)["session_handler_class"] == "\\core\\session\\database"


def test_what_nodes_share_is_on_the_file_system_and_what_they_do_not_is_local(
    tmp_path: Path,
) -> None:
    seen = moodle_sees(tmp_path, ENVIRONMENT)
    assert seen["dataroot"] == str(tmp_path / "data")
    assert seen["localcachedir"].startswith("/var/cache/")
    assert not {"cachedir", "tempdir", "backuptempdir"} & seen.keys(), "they follow dataroot"
    assert seen["wwwroot"] == "https://lms.example.org"
    assert seen["sslproxy"] is True


def test_mysql_gets_its_own_driver_and_locks(tmp_path: Path) -> None:
    mysql = dict(ENVIRONMENT) | {"DATABASE_ENGINE": "aurora-mysql", "DATABASE_PORT": "3306"}
    seen = moodle_sees(tmp_path, mysql)
    assert seen["dbtype"] == "auroramysql"
    assert seen["lock_factory"] == "\\core\\lock\\mysql_lock_factory"


def test_the_health_endpoint_asks_neither_php_nor_the_database() -> None:
    block = re.search(r"location = /health \{(.*?)\}", text_of(WEB, "nginx.conf"), re.DOTALL)
    assert block is not None
    assert "return 200" in block[1]
    assert "fastcgi" not in block[1]
    assert all("admin/cli" not in command for command in ready(WEB))


def test_cron_runs_on_workers_alone() -> None:
    assert not [path for path in files(WEB) if "cron" in path]
    service = text_of(WORKER, "moodle-cron.service")
    # While it runs, scale-in leaves the instance alone.
    assert "/usr/local/bin/firstbell-busy runuser -u www-data" in service
    assert not [path for path in files(WORKER) if "nginx" in path]
    assert "nginx-light" in WEB.packages
    assert "nginx-light" not in WORKER.packages


def test_the_release_is_pinned_and_checked_before_it_is_unpacked() -> None:
    text = text_of(WEB, "moodle-install")
    url = "https://packaging.moodle.org/stable405/moodle-4.5.8.tgz"
    assert text.index(url) < text.index(f"{'a' * 64}  /run/moodle.tgz") < text.index("tar -xzf")
    assert "set -euo pipefail" in text
    newer = dataclasses.replace(WEB, application=MOODLE.model_copy(update={"version": "5.1.2"}))
    assert "/stable501/moodle-5.1.2.tgz" in text_of(newer, "moodle-install")
    assert newer.web_root == "/srv/moodle/public"


def test_the_scripts_are_ones_that_bash_understands(tmp_path: Path) -> None:
    bash = tool("bash")
    for name in ("moodle-install", "moodle-secrets"):
        for node in (WEB, WORKER):
            path = tmp_path / name
            path.write_text(text_of(node, name))
            assert bash("-n", path).returncode == 0
            path.write_text(path.read_text() + "\nif true; then\n")
            assert bash("-n", path).returncode != 0


def test_the_file_system_is_mounted_through_its_access_point_and_encrypted() -> None:
    text = text_of(WEB, "moodle-install")
    assert "tls,iam,accesspoint=fsap-0123456789abcdef0" in text
    without = {k: v for k, v in ENVIRONMENT.items() if not k.startswith("FILES_")}
    assert "efs" not in text_of(dataclasses.replace(WEB, environment=without), "moodle-install")


def test_secrets_are_fetched_by_the_role_into_memory_for_moodle_alone() -> None:
    text = text_of(WEB, "moodle-secrets")
    assert "aws secretsmanager get-secret-value" in text
    assert "chmod 0400" in text
    assert WEB.folders.secrets.startswith("/run/")


def test_a_rotated_password_is_followed_at_once_and_what_never_rotates_is_asked_for_once(
    tmp_path: Path,
) -> None:
    """Between RDS's new password and the node's no page is served."""
    timer = configparser.ConfigParser()
    timer.read_string(text_of(WEB, "moodle-secrets.timer"))
    assert (timer["Timer"]["OnUnitActiveSec"], timer["Timer"]["AccuracySec"]) == ("20", "1s")
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    variables = "".join(f"{key}={value}\n" for key, value in ENVIRONMENT.items())
    (tmp_path / "environment").write_text(variables)
    for name, body in {
        "aws": f'echo "$4" >> {tmp_path}/asked; [ ! -e {tmp_path}/down ] && echo "{{}}"',
        "install": ":",
        "chown": ":",
    }.items():
        (tmp_path / name).write_text(f"#!/bin/bash\n{body}\n")
        (tmp_path / name).chmod(0o755)
    node = dataclasses.replace(WEB, folders=Folders(secrets=str(secrets)))
    script = text_of(node, "moodle-secrets").replace(
        "/etc/firstbell/environment", f"{tmp_path}/environment"
    )

    def run() -> int:
        return subprocess.run(
            ["bash", "-c", script],
            env={"PATH": f"{tmp_path}:/usr/bin:/bin"},
            check=False,
            capture_output=True,
        ).returncode

    assert (run(), run()) == (0, 0)
    asked = [line.rsplit(":", 1)[-1] for line in (tmp_path / "asked").read_text().split()]
    assert asked == ["database", "cache", "database"]
    (tmp_path / "down").touch()
    assert run() != 0, "systemd says so, and runs it again"
    assert {path.name for path in secrets.iterdir()} == {"database.json", "cache.json"}


def test_no_secret_is_in_the_user_data_and_it_fits() -> None:
    message = parts(ARGS, ENVIRONMENT)
    assert not [part for part in message if re.search(r"password *[=:] *['\"]\w", part.text)]
    assert len(encoded(message, where="tiers/web")) < 16 * 1024


@pytest.mark.parametrize(
    ("types", "concurrency", "children"),
    [
        (("m7i.large",), 12, 12),
        (("m7i.large",), 90, 15),
        (("m7i.4xlarge", "m7i.xlarge"), 90, 30),
    ],
)
def test_php_gets_no_more_children_than_the_smallest_instance_has_cpu_for(
    types: tuple[str, ...], concurrency: int, children: int
) -> None:
    args = dataclasses.replace(ARGS, instance_types=types, concurrency=concurrency)
    node = node_of(args, MOODLE, ENVIRONMENT)
    assert node.children == min(concurrency, children_for(types)) == children
    assert f"pm.max_children = {children}\n" in text_of(node, "fpm-pool.conf")
