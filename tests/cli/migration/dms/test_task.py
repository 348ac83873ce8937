"""What DMS is told, and what is read from its statistics."""

from __future__ import annotations

import json

import pytest

from cli.migration.dms.task import (
    TableStatistics,
    problems,
    read_statistics,
    table_mappings,
    task_settings,
)


def table(**changes: object) -> TableStatistics:
    """A loaded, validated table, with what a test changes; keys as in DescribeTableStatistics."""
    answer: dict[str, object] = {
        "SchemaName": "lms",
        "TableName": "mdl_user",
        "TableState": "Table completed",
        "FullLoadRows": 100,
        "Inserts": 5,
        "Deletes": 2,
        "Updates": 7,
        "ValidationState": "Validated",
    }
    return read_statistics(answer | changes)


def test_lobs_arrive_whole_and_truncation_stops_the_task() -> None:
    settings = json.loads(task_settings())
    metadata, errors = settings["TargetMetadata"], settings["ErrorBehavior"]
    assert (metadata["FullLobMode"], metadata["LimitedSizeLobMode"]) == (True, False)
    assert "LobMaxSize" not in metadata
    assert errors["DataTruncationErrorPolicy"] == "STOP_TASK"
    assert not {"IGNORE_RECORD", "LOG_ERROR", "SUSPEND_TABLE"} & set(map(str, errors.values()))


def test_everything_is_validated_and_no_table_is_dropped() -> None:
    settings = json.loads(task_settings())
    assert settings["ValidationSettings"]["EnableValidation"] is True
    assert settings["ValidationSettings"]["SkipLobColumns"] is False
    assert settings["FullLoadSettings"]["TargetTablePrepMode"] == "DO_NOTHING"


def test_every_schema_is_selected_renamed_and_written_in_small_letters() -> None:
    rules = json.loads(table_mappings({"LMS": "lms", "FILES": "files"}))["rules"]
    assert [rule["rule-id"] for rule in rules] == [str(n) for n in range(1, 9)]
    selected = [r["object-locator"]["schema-name"] for r in rules if r["rule-type"] == "selection"]
    assert selected == ["FILES", "LMS"]
    renamed = {r["object-locator"]["schema-name"]: r["value"] for r in rules if "value" in r}
    assert renamed == {"LMS": "lms", "FILES": "files"}
    lower = [r["rule-target"] for r in rules if r.get("rule-action") == "convert-lowercase"]
    assert lower == ["table", "column"] * 2


def test_a_loaded_and_validated_table_has_no_problem() -> None:
    assert problems([table()]) == []
    assert table().rows == 103
    assert table().changes == 14


@pytest.mark.parametrize("state", ["Pending records", "Pending revalidation", "Preparing table"])
def test_a_verdict_that_is_still_to_come_is_neither_good_nor_bad(state: str) -> None:
    found = table(ValidationState=state, ValidationPendingRecords=3)
    assert found.validating
    assert found.problem() is None


def test_a_table_that_loads_is_no_problem_yet() -> None:
    assert table(TableState="Full load", ValidationState="Not enabled").problem() is None


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"TableState": "Table error", "ValidationState": "Table error"}, "Table error"),
        ({"TableState": "Table does not exist"}, "Table does not exist"),
        ({"FullLoadErrorRows": 1}, "1 rows were not loaded"),
        ({"FullLoadCondtnlChkFailedRows": 2}, "2 rows were not loaded"),
        (
            {"ValidationState": "Mismatched records", "ValidationFailedRecords": 4},
            "4 rows differ",
        ),
        (
            {"ValidationState": "Suspended records", "ValidationSuspendedRecords": 9},
            "9 rows could not be compared",
        ),
        ({"ValidationState": "No primary key"}, "not validated (No primary key)"),
        ({"ValidationState": "Not enabled"}, "not validated (Not enabled)"),
        ({"ValidationState": "Error"}, "not validated (Error)"),
        ({"ValidationState": None}, "not validated (no state)"),
    ],
)
def test_whatever_is_not_proven_equal_is_a_problem(changes: dict[str, object], said: str) -> None:
    assert problems([table(TableName="good"), table(**changes)]) == [f"lms.mdl_user: {said}"]
