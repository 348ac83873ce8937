"""What a DMS task is told, and what its table statistics mean. Pure: no calls.

Settings as in the AWS DMS user guide, "Specifying task settings"; each one here that is not DMS's
default is one that lost data in practice.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

# LOBs are read in pieces of this size and arrive whole; by default DMS cuts them at 32 KB. User
# guide, "Setting LOB support for source databases in an AWS DMS task".
LOB_CHUNK_KIB: Final = 64
# Validation gives up on a table, or on all, past these; both are far more than a person reads.
MOST_FAILED_RECORDS: Final = 10_000
MOST_FAILED_RECORDS_PER_TABLE: Final = 1_000

LOADED: Final = "Table completed"
# DescribeTableStatistics, ValidationState: these pass by themselves.
VALIDATING: Final = frozenset(
    {"Pending records", "Pending validation", "Preparing table", "Pending revalidation"}
)
VALIDATED: Final = "Validated"


def table_mappings(schemas: Mapping[str, str]) -> str:
    """The task's table mappings: every table of these schemas, with small letters on the target.

    Args:
        schemas: the source's schema -> the target's. Oracle writes names in capitals; PostgreSQL
            would keep them so, and every statement of the application would need quotes.
    """
    rules: list[dict[str, Any]] = []

    def rule(kind: str, name: str, locator: Mapping[str, str], **more: str) -> None:
        number = str(len(rules) + 1)
        rules.append(
            {
                "rule-type": kind,
                "rule-id": number,
                "rule-name": f"{number}-{name}",
                "object-locator": dict(locator),
                **more,
            }
        )

    for source, target in sorted(schemas.items()):
        every = {"schema-name": source, "table-name": "%"}
        rule("selection", "tables", every, **{"rule-action": "include"})
        rule(
            "transformation",
            "schema",
            {"schema-name": source},
            **{"rule-target": "schema", "rule-action": "rename", "value": target},
        )
        rule(
            "transformation",
            "table-names",
            every,
            **{"rule-target": "table", "rule-action": "convert-lowercase"},
        )
        rule(
            "transformation",
            "column-names",
            every | {"column-name": "%"},
            **{"rule-target": "column", "rule-action": "convert-lowercase"},
        )
    return json.dumps({"rules": rules})


def task_settings() -> str:
    """The task's settings: nothing cut, nothing skipped, everything validated."""
    return json.dumps(
        {
            "TargetMetadata": {
                "SupportLobs": True,
                "FullLobMode": True,
                "LimitedSizeLobMode": False,
                "LobChunkSize": LOB_CHUNK_KIB,
                # In batches, changes of different tables are applied out of order: a token would
                # prove nothing.
                "BatchApplyEnabled": False,
            },
            # The schema stands already; it is never dropped, and never emptied.
            "FullLoadSettings": {"TargetTablePrepMode": "DO_NOTHING"},
            "ValidationSettings": {
                "EnableValidation": True,
                "SkipLobColumns": False,
                "FailureMaxCount": MOST_FAILED_RECORDS,
                "TableFailureMaxCount": MOST_FAILED_RECORDS_PER_TABLE,
                "HandleCollationDiff": True,
            },
            "ErrorBehavior": {
                "DataErrorPolicy": "STOP_TASK",
                "DataTruncationErrorPolicy": "STOP_TASK",
                "TableErrorPolicy": "STOP_TASK",
                "ApplyErrorInsertPolicy": "STOP_TASK",
                "ApplyErrorUpdatePolicy": "STOP_TASK",
                "ApplyErrorDeletePolicy": "STOP_TASK",
                "ApplyErrorFailOnTruncationDdl": True,
                "FullLoadIgnoreConflicts": False,
                "FailOnTransactionConsistencyBreached": True,
                "FailOnNoTablesCaptured": True,
            },
            "ChangeProcessingDdlHandlingPolicy": {
                "HandleSourceTableDropped": False,
                "HandleSourceTableTruncated": True,
                "HandleSourceTableAltered": True,
            },
            "Logging": {"EnableLogging": True},
        }
    )


@dataclass(frozen=True)
class TableStatistics:
    """What DMS says about one table (DescribeTableStatistics); counts of rows."""

    schema: str
    table: str
    state: str
    full_load_rows: int
    errors: int
    inserts: int
    updates: int
    deletes: int
    ddls: int
    validation: str
    validation_pending: int
    validation_failed: int
    validation_suspended: int
    updated_at: datetime | None = None
    details: str = ""

    @property
    def name(self) -> str:
        return f"{self.schema}.{self.table}"

    @property
    def rows(self) -> int:
        """Rows that the target should have now."""
        return self.full_load_rows + self.inserts - self.deletes

    @property
    def changes(self) -> int:
        """Changes seen since the load; it grows only."""
        return self.inserts + self.updates + self.deletes

    @property
    def loaded(self) -> bool:
        return self.state == LOADED

    @property
    def validating(self) -> bool:
        """Whether the verdict is still to come."""
        return self.validation in VALIDATING or (
            self.validation == VALIDATED and self.validation_pending > 0
        )

    def problem(self) -> str | None:
        """What is wrong with the table for good; None also while it loads or validates."""
        if self.state in ("Table error", "Table does not exist", "Table cancelled"):
            return f"{self.name}: {self.state}" + (f", {self.details}" if self.details else "")
        if self.errors:
            return f"{self.name}: {self.errors} rows were not loaded"
        if self.validation_failed or self.validation == "Mismatched records":
            return f"{self.name}: {self.validation_failed} rows differ"
        if self.validation_suspended or self.validation == "Suspended records":
            return f"{self.name}: {self.validation_suspended} rows could not be compared"
        if self.validation == VALIDATED or self.validating or not self.loaded:
            return None
        return f"{self.name}: not validated ({self.validation or 'no state'})"


def read_statistics(answer: Mapping[str, Any]) -> TableStatistics:
    """One entry of DescribeTableStatistics."""

    def count(name: str) -> int:
        return int(answer.get(name) or 0)

    return TableStatistics(
        schema=str(answer["SchemaName"]),
        table=str(answer["TableName"]),
        state=str(answer.get("TableState") or ""),
        full_load_rows=count("FullLoadRows"),
        errors=count("FullLoadErrorRows") + count("FullLoadCondtnlChkFailedRows"),
        inserts=count("Inserts"),
        updates=count("Updates"),
        deletes=count("Deletes"),
        ddls=count("Ddls"),
        validation=str(answer.get("ValidationState") or ""),
        validation_pending=count("ValidationPendingRecords"),
        validation_failed=count("ValidationFailedRecords"),
        validation_suspended=count("ValidationSuspendedRecords"),
        updated_at=answer.get("LastUpdateTime"),
        details=str(answer.get("ValidationStateDetails") or ""),
    )


def problems(tables: Sequence[TableStatistics]) -> list[str]:
    """Everything that is wrong for good, sorted."""
    return sorted(found for table in tables if (found := table.problem()) is not None)
