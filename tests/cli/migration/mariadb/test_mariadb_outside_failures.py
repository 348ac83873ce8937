"""MariaDB servers that are killed and a network that is cut, in the states where it hurts."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from cli.migration import machine, runner, states
from cli.migration.journal import Journal, root
from cli.migration.machine import State
from cli.migration.proof.mariadb import MariaDbScene
from tests.cli.migration.conftest import closing, rehearsed
from tests.cli.migration.test_outside_failures import crashing, cutting
from tests.matrix.proxy import Proxy


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


@pytest.mark.slow
def test_killed_servers_and_a_cut_network_lose_nothing(
    stage: Callable[..., MariaDbScene],
    proxies: Callable[[int], Proxy],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    scene = stage()
    to_source, to_target = proxies(scene.source.port), proxies(scene.target.port)
    for name, server, proxy in (
        ("SCENE_SOURCE_PEER", scene.source, to_source),
        ("SCENE_TARGET_PEER", scene.target, to_target),
    ):
        monkeypatch.setenv(name, server.dsn().replace(f":{server.port}/", f":{proxy.port}/"))
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

    # In hold, both at once; the fence on the source must survive it, though read_only does not.
    for server in (scene.source, scene.target):
        server.kill()
    for server in (scene.source, scene.target):
        server.start()
    run.close()
    assert scene.source.one("SELECT @@GLOBAL.read_only") == 0
    assert not run.source.open_to_applications()
    assert not run.source.probe_write()
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
