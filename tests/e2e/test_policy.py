"""The security controls stand before every change, and are judged again after it."""

from __future__ import annotations

from tests.e2e.conftest import Firstbell


def test_a_violation_is_refused_before_anything_is_made(firstbell: Firstbell) -> None:
    file = firstbell.stacks / "Pulumi.autumn.yaml"
    text = file.read_text().replace("  firstbell:season: seasons/autumn.yaml\n", "")
    file.write_text(text.replace("database: {", "database: {deletion_protection: false, "))
    said = firstbell("up", "-s", "autumn", code=2).stderr
    assert "RDS.7 Cluster autumn-database: deletionProtection is False" in said
    assert firstbell.client("rds").describe_db_clusters()["DBClusters"] == []
    firstbell("preview", "-s", "autumn", code=2)


def test_what_was_unknown_before_is_judged_after_up(firstbell: Firstbell) -> None:
    firstbell("season", "plan", "-s", "autumn")
    before = firstbell.json("preview", "-s", "autumn")["policy"]["controls"]
    assert before["failed"] == []
    assert "ELB.13" in before["undetermined"]
    after = firstbell.json("up", "-s", "autumn")["policy"]["controls"]
    assert after["failed"] == after["undetermined"] == []
    assert "ELB.13" in after["passed"]
