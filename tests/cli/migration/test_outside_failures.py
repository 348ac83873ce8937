"""Servers that are killed and a network that is cut, in the states where it hurts."""

from __future__ import annotations

import dataclasses
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from cli.migration import machine, runner, states
from cli.migration.journal import Journal, root
from cli.migration.machine import Run, State
from cli.migration.proof.mariadb import MariaDbServer
from cli.migration.proof.scene import Scene
from cli.migration.proof.servers import PostgresServer
from tests.cli.migration.conftest import closing, rehearsed
from tests.matrix.proxy import Proxy

AWAY_SECONDS = 0.7


@pytest.fixture
def proxies() -> Iterator[Callable[[int], Proxy]]:
    made: list[Proxy] = []

    def make(port: int) -> Proxy:
        made.append(Proxy(port))
        made[-1].start()
        return made[-1]

    yield make
    for proxy in made:
        proxy.end()


def crashing(name: str, *servers: PostgresServer | MariaDbServer) -> State:
    """The state, with the servers killed as it begins and started again a moment later."""
    state, done = states.STATES[name], threading.Event()

    def restart() -> None:
        time.sleep(AWAY_SECONDS)
        for server in servers:
            server.start()

    def act(run: Run) -> None:
        if not done.is_set():
            done.set()
            for server in servers:
                server.kill()
            threading.Thread(target=restart, daemon=True).start()
        state.act(run)

    return dataclasses.replace(state, act=act)


def cutting(name: str, proxy: Proxy) -> State:
    """The state, with the network between the servers cut while it runs."""
    state, done = states.STATES[name], threading.Event()

    def act(run: Run) -> None:
        if not done.is_set():
            done.set()
            proxy.cut()
            threading.Timer(AWAY_SECONDS, proxy.mend).start()
        state.act(run)

    return dataclasses.replace(state, act=act)


def test_killed_servers_and_a_cut_network_lose_nothing(
    stage: Callable[..., Scene],
    proxies: Callable[[int], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = stage(16, 18)
    to_source, to_target = proxies(scene.source.port), proxies(scene.target.port)
    for name, server, proxy in (
        ("SCENE_SOURCE_PEER", scene.source, to_source),
        ("SCENE_TARGET_PEER", scene.target, to_target),
    ):
        dsn = scene.environment()[name].replace(f"port={server.port}", f"port={proxy.port}")
        monkeypatch.setenv(name, dsn)
    journal = Journal.create(root(scene.name) / "journal.db", scene.name)
    run = closing(runner.build(scene.name, journal))
    scene.start_load(0.02)
    scene.wait_for_writes()

    def go(**replaced: State) -> None:
        machine.drive(run, {**states.STATES, **replaced})

    go(copy=crashing("copy", scene.target))
    assert journal.current.state == "soak"
    rehearsed(run, 600)
    journal.remember("window length", "10h")

    journal.order("cutover")
    go(
        fence=crashing("fence", scene.source),
        drain=cutting("drain", to_source),
        flip=crashing("flip", scene.target),
        switch=crashing("switch", scene.target),
    )
    assert journal.current.state == "hold"
    assert not run.source.open_to_applications()
    scene.wait_for_writes()

    # In hold, both at once; the fence on the source must have survived it.
    for server in (scene.source, scene.target):
        server.kill()
    for server in (scene.source, scene.target):
        server.start()
    run.close()
    assert not run.source.open_to_applications()
    scene.wait_for_writes()

    journal.order("back")
    go(
        back_drain=cutting("back_drain", to_target),
        back_finalize=crashing("back_finalize", scene.source),
        back_flip=cutting("back_flip", to_source),
        back_switch=crashing("back_switch", scene.source, scene.target),
    )
    assert journal.current.state == "soak"
    scene.wait_for_writes()
    scene.stop_load()
    evidence = scene.evidence(scene.source)
    assert (evidence.lost, evidence.doubled, evidence.overlaps) == ((), (), 0)
    assert [change[:2] for change in evidence.changes] == [
        ("source", "target"),
        ("target", "source"),
    ]
