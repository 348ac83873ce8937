"""Moodle's sessions in the cache: PHP's own client with a node's config.php, Redis itself as the
cache, with the user that a stack makes there.
"""

from __future__ import annotations

import contextlib
import dataclasses
import shutil
import socket
import subprocess
import time
from collections.abc import Callable, Generator, Mapping
from pathlib import Path

import pytest

from infra.applications.moodle import Folders
from infra.cache import ACCESS, USER
from tests.infra.applications.test_moodle import ENVIRONMENT, SECRET, WEB, running, text_of, tool

# What Moodle's session handler asks of the cache, in its order: to connect to one server or to a
# cluster, by how many hosts there are; then a session that is kept, read, found and ended.
HANDLER = r"""<?php
[$auth, $hosts] = [$CFG->session_redis_auth, explode(',', $CFG->session_redis_host)];
if (count($hosts) > 1) {
    $cache = new RedisCluster(null, $hosts, 3.0, 3.0, true, $auth);
} else {
    $cache = new Redis();
    $cache->connect($hosts[0], $CFG->session_redis_port, 3.0, null, 100, 3.0);
    $cache->auth($auth);
}
$cache->setOption(Redis::OPT_PREFIX, $CFG->session_redis_prefix);
$cache->info('server');
foreach (range(1, 9) as $id) {
    $cache->set("$id.lock", 'me', ['nx', 'ex' => 30]) || exit('no lock');
    $cache->hmset("session_$id", ['userid' => 7, 'sessdata' => 'cart']);
    $cache->expire("session_$id", 60);
    $cache->hmget("session_$id", ['sessdata'])['sessdata'] === 'cart' || exit('no session');
    $cache->unlink("$id.lock");
}
if (count($hosts) == 1) {
    $iterator = null;
    count($cache->scan($iterator, '*session_*', 100)) == 9 || exit('not found');
}
$cache->unlink('session_1');
try {
    count($hosts) > 1 ? $cache->config($hosts[0], 'GET', '*') : $cache->config('GET', '*');
} catch (Exception $refused) {
}
$denied = isset($refused) || str_contains((string) $cache->getLastError(), 'NOPERM');
echo $denied ? 'served' : 'may change the server';
"""


def free_port() -> int:
    """Redis's nodes talk to each other 10,000 ports higher."""
    while True:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port: int = free.getsockname()[1]
        if port < 55_000:
            return port


@contextlib.contextmanager
def servers(folder: Path, number: int) -> Generator[int]:
    """One Redis, or as many that share the keys as a cluster; the port of the first."""
    redis, ports = shutil.which("redis-server") or "redis-server", list[int]()

    def ask(port: int, *command: str) -> str:
        asked = ["redis-cli", "-p", str(port), *command]
        return subprocess.run(asked, capture_output=True, text=True, check=False).stdout

    with contextlib.ExitStack() as stack:
        for _ in range(number):
            port = free_port()
            place = folder / str(port)
            place.mkdir()
            (place / "redis.conf").write_text(
                f'bind 127.0.0.1\nport {port}\ndir {place}\nsave ""\n'
                f"cluster-enabled {'yes' if number > 1 else 'no'}\n"
                f'user {USER} >"{SECRET.replace(chr(92), chr(92) * 2)}" {ACCESS}\n'
            )
            stack.enter_context(running(redis, place / "redis.conf"))
            ports.append(port)
        wait(lambda: all("PONG" in ask(port, "ping") for port in ports))
        if number > 1:
            share = 16384 // number
            for at, port in enumerate(ports):
                last = 16383 if at == number - 1 else (at + 1) * share - 1
                ask(port, "cluster", "addslotsrange", str(at * share), str(last))
                ask(ports[0], "cluster", "meet", "127.0.0.1", str(port))
            wait(lambda: all("cluster_state:ok" in ask(port, "cluster", "info") for port in ports))
        yield ports[0]


def wait(until: Callable[[], bool]) -> None:
    """Until servers that are about to start have."""
    for _ in range(200):
        if until():
            return
        time.sleep(0.05)
    raise AssertionError("the cache does not start")


def signed_in(tmp_path: Path, port: int, changes: Mapping[str, str]) -> str:
    """What the handler says with the config.php of a node; TLS is left out."""
    environment = {**ENVIRONMENT, "CACHE_ENDPOINT": "127.0.0.1", "CACHE_PORT": str(port), **changes}
    folders = Folders(secrets=str(tmp_path))
    node = dataclasses.replace(WEB, environment=environment, folders=folders)
    (tmp_path / "lib").mkdir(exist_ok=True)
    (tmp_path / "lib" / "setup.php").write_text(HANDLER)
    quoted = SECRET.replace("\\", "\\\\")
    (tmp_path / "cache.json").write_text(f'{{"username": "{USER}", "password": "{quoted}"}}')
    (tmp_path / "config.php").write_text(text_of(node, "config.php"))
    ran = tool("php")("-d", "display_errors=stdout", tmp_path / "config.php")
    return ran.stdout


@pytest.fixture(autouse=True)
def programs() -> None:
    """Debian's packages are in .ci/run."""
    tool("redis-server")
    tool("redis-cli")
    if "redis" not in tool("php")("-m").stdout:
        pytest.skip("php-redis is not installed; .ci/run installs it")


def test_sessions_are_kept_by_a_user_who_may_do_no_more(tmp_path: Path) -> None:
    with servers(tmp_path, 1) as port:
        assert signed_in(tmp_path, port, {}) == "served"


def test_sessions_are_kept_by_a_cluster_wherever_their_keys_lie(tmp_path: Path) -> None:
    """As one server it would say of most sessions that they lie elsewhere."""
    with servers(tmp_path, 2) as port:
        assert signed_in(tmp_path, port, {"CACHE_CLUSTER_MODE": "True"}) == "served"
        assert "MOVED" in signed_in(tmp_path, port, {"CACHE_CLUSTER_MODE": "False"})
