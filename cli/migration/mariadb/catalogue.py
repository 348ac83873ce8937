"""What a MariaDB database consists of, as comparable lines; and how to heal a difference.

DDL is replicated, so a difference means that a statement ran on one side without its binary log, or
that replication stands. *Opaque* lines (bodies of views, which servers print differently) are
compared with the same side's own lines at the end of `copy`.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Final

from cli.migration.engine import Difference, Lines
from cli.migration.mariadb.server import Server
from cli.migration.mariadb.text import ident

# Each query answers (name, definition) and takes the database's name once.
_PORTABLE: Final[Mapping[str, str]] = {
    "database": "SELECT SCHEMA_NAME, CONCAT_WS(' | ', DEFAULT_CHARACTER_SET_NAME,"
    " DEFAULT_COLLATION_NAME) FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = %s",
    "table": "SELECT TABLE_NAME, CONCAT_WS(' | ', TABLE_TYPE, ENGINE, ROW_FORMAT, TABLE_COLLATION,"
    " CREATE_OPTIONS) FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s",
    "column": "SELECT CONCAT(c.TABLE_NAME, '.', c.COLUMN_NAME), CONCAT_WS(' | ', COLUMN_TYPE,"
    " IF(IS_NULLABLE = 'NO', 'not null', NULL), CONCAT('default ', COLUMN_DEFAULT),"
    " NULLIF(EXTRA, ''), GENERATION_EXPRESSION, CHARACTER_SET_NAME, COLLATION_NAME)"
    " FROM information_schema.COLUMNS c JOIN information_schema.TABLES t"
    " ON t.TABLE_SCHEMA = c.TABLE_SCHEMA AND t.TABLE_NAME = c.TABLE_NAME"
    " WHERE c.TABLE_SCHEMA = %s AND t.TABLE_TYPE <> 'VIEW'",
    "index": "SELECT CONCAT(TABLE_NAME, '.', INDEX_NAME), CONCAT_WS(' | ',"
    " IF(NON_UNIQUE, NULL, 'unique'), INDEX_TYPE, GROUP_CONCAT(CONCAT(COLUMN_NAME,"
    " IFNULL(CONCAT('(', SUB_PART, ')'), '')) ORDER BY SEQ_IN_INDEX))"
    " FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = %s GROUP BY TABLE_NAME, INDEX_NAME,"
    " NON_UNIQUE, INDEX_TYPE",
    "foreign key": "SELECT CONCAT(k.TABLE_NAME, '.', k.CONSTRAINT_NAME), CONCAT_WS(' | ',"
    " GROUP_CONCAT(CONCAT(k.COLUMN_NAME, ' -> ', k.REFERENCED_TABLE_NAME, '.',"
    " k.REFERENCED_COLUMN_NAME) ORDER BY k.ORDINAL_POSITION), MAX(r.UPDATE_RULE),"
    " MAX(r.DELETE_RULE)) FROM information_schema.KEY_COLUMN_USAGE k"
    " JOIN information_schema.REFERENTIAL_CONSTRAINTS r"
    " ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA"
    " AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME"
    " WHERE k.CONSTRAINT_SCHEMA = %s AND k.REFERENCED_TABLE_NAME IS NOT NULL"
    " GROUP BY k.TABLE_NAME, k.CONSTRAINT_NAME",
    "check": "SELECT CONCAT(TABLE_NAME, '.', CONSTRAINT_NAME), CHECK_CLAUSE"
    " FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = %s",
    "trigger": "SELECT TRIGGER_NAME, CONCAT_WS(' | ', EVENT_OBJECT_TABLE, ACTION_TIMING,"
    " EVENT_MANIPULATION, ACTION_ORDER, DEFINER, SQL_MODE, MD5(ACTION_STATEMENT))"
    " FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = %s",
    "routine": "SELECT CONCAT(LOWER(ROUTINE_TYPE), ' ', ROUTINE_NAME), CONCAT_WS(' | ',"
    " DTD_IDENTIFIER, IS_DETERMINISTIC, SQL_DATA_ACCESS, SECURITY_TYPE, DEFINER, SQL_MODE,"
    " MD5(ROUTINE_DEFINITION)) FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s",
    # Its status is a side's own: the fence silences events.
    "event": "SELECT EVENT_NAME, CONCAT_WS(' | ', EVENT_TYPE, EXECUTE_AT, INTERVAL_VALUE,"
    " INTERVAL_FIELD, STARTS, ENDS, ON_COMPLETION, DEFINER, TIME_ZONE, SQL_MODE,"
    " MD5(EVENT_DEFINITION)) FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
    "view": "SELECT TABLE_NAME, CONCAT_WS(' | ', SECURITY_TYPE, DEFINER, CHECK_OPTION)"
    " FROM information_schema.VIEWS WHERE TABLE_SCHEMA = %s",
}
_GRANTEE: Final = "GRANTEE NOT LIKE '''firstbell\\_%%'"
# Grants on this database, as (grantee and object, privileges).
_GRANTS: Final = (
    "SELECT GRANTEE, GROUP_CONCAT(CONCAT(PRIVILEGE_TYPE, IF(IS_GRANTABLE = 'YES', '+', ''))"
    " ORDER BY PRIVILEGE_TYPE) FROM information_schema.SCHEMA_PRIVILEGES"
    f" WHERE TABLE_SCHEMA = %s AND {_GRANTEE} GROUP BY GRANTEE",
    "SELECT CONCAT(GRANTEE, ' on ', TABLE_NAME), GROUP_CONCAT(CONCAT(PRIVILEGE_TYPE,"
    " IF(IS_GRANTABLE = 'YES', '+', '')) ORDER BY PRIVILEGE_TYPE)"
    f" FROM information_schema.TABLE_PRIVILEGES WHERE TABLE_SCHEMA = %s AND {_GRANTEE}"
    " GROUP BY GRANTEE, TABLE_NAME",
    "SELECT CONCAT(GRANTEE, ' on ', TABLE_NAME, '.', COLUMN_NAME), GROUP_CONCAT(CONCAT("
    "PRIVILEGE_TYPE, IF(IS_GRANTABLE = 'YES', '+', '')) ORDER BY PRIVILEGE_TYPE)"
    f" FROM information_schema.COLUMN_PRIVILEGES WHERE TABLE_SCHEMA = %s AND {_GRANTEE}"
    " GROUP BY GRANTEE, TABLE_NAME, COLUMN_NAME",
    "SELECT CONCAT('''', User, '''@''', Host, ''' on ', LOWER(Routine_type), ' ', Routine_name),"
    " Proc_priv FROM mysql.procs_priv WHERE Db = %s AND User NOT LIKE 'firstbell\\_%%'",
)


def both(source: Server, target: Server) -> tuple[Lines, Lines]:
    """Portable lines of both sides, without privileges that only one of them has.

    ALL PRIVILEGES is more on a newer server (11.3 added SHOW CREATE ROUTINE).
    """
    known = [
        {str(name).upper() for (name, *_) in side.rows("SHOW PRIVILEGES")}
        for side in (source, target)
    ]
    return (
        without_privileges(portable(source), known[0] - known[1]),
        without_privileges(portable(target), known[1] - known[0]),
    )


def without_privileges(lines: Lines, unknown: Set[str]) -> Lines:
    """Lines whose grants name none of these privileges; a grant of nothing else is left out.

    `unknown` is in upper case; mysql.procs_priv has its privileges in mixed case.
    """
    kept: Lines = {}
    for (kind, name), text in lines.items():
        if kind != "grant" or not unknown:
            kept[kind, name] = text
            continue
        given = [each for each in text.split(",") if each.rstrip("+").upper() not in unknown]
        if given:
            kept[kind, name] = ",".join(given)
    return kept


def portable(server: Server) -> Lines:
    """Lines that are equal on both sides when the databases are."""
    lines: Lines = {}
    for kind, query in _PORTABLE.items():
        for name, definition in server.rows(query, server.database):
            lines[kind, str(name)] = str(definition or "")
    for query in _GRANTS:
        for name, definition in server.rows(query, server.database):
            lines["grant", str(name)] = str(definition or "")
    # The name of the database is each side's own.
    lines = {
        (kind, "default" if kind == "database" else name): definition
        for (kind, name), definition in lines.items()
    }
    for user, host, _, role in server.accounts():
        if server.is_applications(user):
            lines["role" if role else "account", f"{user}@{host}"] = "there"
    return lines


def opaque(server: Server) -> Lines:
    """Lines that only compare with themselves on the same server."""
    return {
        ("view body", str(name)): str(text)
        for name, text in server.rows(
            "SELECT TABLE_NAME, MD5(VIEW_DEFINITION) FROM information_schema.VIEWS"
            " WHERE TABLE_SCHEMA = %s",
            server.database,
        )
    }


def healing(difference: Difference, behind: str) -> str:
    """The statement that brings the side that is behind level, as far as the catalogue tells it."""
    ahead = difference.source if behind == "target" else difference.target
    have = difference.target if behind == "target" else difference.source
    on = f"on the {behind}: SET sql_log_bin = 0;"
    table, _, part = difference.name.partition(".")
    if difference.kind == "column" and ahead is not None and have is None:
        kind, *rest = ahead.split(" | ")
        words = ["NOT NULL"] if "not null" in rest else []
        words += [
            f"DEFAULT {word.removeprefix('default ')}" for word in rest if word[:8] == "default "
        ]
        column = " ".join([kind, *words])
        return f"{on} ALTER TABLE {ident(table)} ADD COLUMN {ident(part)} {column};"
    if difference.kind == "column" and ahead is None:
        return f"{on} ALTER TABLE {ident(table)} DROP COLUMN {ident(part)};"
    if difference.kind == "index" and ahead is not None and have is None:
        columns = ahead.split(" | ")[-1]
        unique = "UNIQUE " if ahead.startswith("unique") else ""
        return f"{on} CREATE {unique}INDEX {ident(part)} ON {ident(table)} ({columns});"
    if difference.kind == "table" and ahead is not None and have is None:
        return f"{on} create {difference.name} as SHOW CREATE TABLE prints it on the other side"
    return f"{on} run the statement that changed {difference.kind} {difference.name} elsewhere"


# Tables, sequences and counters


def tables(server: Server) -> list[str]:
    """Quoted names of the tables."""
    return _names(server, "BASE TABLE")


def sequences(server: Server) -> list[str]:
    """Quoted names of the sequences."""
    return _names(server, "SEQUENCE")


def _names(server: Server, kind: str) -> list[str]:
    return [
        ident(str(name))
        for (name,) in server.rows(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
            " AND TABLE_TYPE = %s ORDER BY 1",
            server.database,
            kind,
        )
    ]


def relations(server: Server) -> list[str]:
    """Names of everything that stands in the database."""
    return [
        str(name)
        for (name,) in server.rows(
            "SELECT TABLE_NAME FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s"
            " UNION SELECT ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = %s"
            " UNION SELECT EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = %s",
            *(server.database,) * 3,
        )
    ]


def counters(server: Server) -> dict[str, int]:
    """Quoted table name -> the next automatic id."""
    return {
        ident(str(name)): int(value)
        for name, value in server.rows(
            "SELECT TABLE_NAME, AUTO_INCREMENT FROM information_schema.TABLES"
            " WHERE TABLE_SCHEMA = %s AND AUTO_INCREMENT IS NOT NULL AND TABLE_TYPE = 'BASE TABLE'",
            server.database,
        )
    }


def float_columns(server: Server) -> list[tuple[str, str]]:
    """Quoted table and column of every FLOAT."""
    return [
        (ident(str(table)), ident(str(column)))
        for table, column in server.rows(
            "SELECT c.TABLE_NAME, c.COLUMN_NAME FROM information_schema.COLUMNS c"
            " JOIN information_schema.TABLES t ON t.TABLE_SCHEMA = c.TABLE_SCHEMA"
            " AND t.TABLE_NAME = c.TABLE_NAME WHERE c.TABLE_SCHEMA = %s AND c.DATA_TYPE = 'float'"
            " AND t.TABLE_TYPE = 'BASE TABLE' AND c.GENERATION_EXPRESSION IS NULL ORDER BY 1, 2",
            server.database,
        )
    ]


def without_key(server: Server) -> list[str]:
    """Quoted names of tables without a primary key or another unique one."""
    return [
        ident(str(name))
        for (name,) in server.rows(
            "SELECT TABLE_NAME FROM information_schema.TABLES t WHERE TABLE_SCHEMA = %s"
            " AND TABLE_TYPE = 'BASE TABLE' AND NOT EXISTS (SELECT 1 FROM"
            " information_schema.STATISTICS s WHERE s.TABLE_SCHEMA = t.TABLE_SCHEMA"
            " AND s.TABLE_NAME = t.TABLE_NAME AND NOT s.NON_UNIQUE) ORDER BY 1",
            server.database,
        )
    ]


def sequence_values(server: Server) -> dict[str, tuple[int, int]]:
    """Quoted name -> the next value that no session holds yet, and the increment."""
    found: dict[str, tuple[int, int]] = {}
    for name in sequences(server):
        value, step = server.rows(f"SELECT next_not_cached_value, increment FROM {name}")[0]
        found[name] = (int(value), int(step))
    return found


def row_estimates(server: Server) -> tuple[int, int]:
    """Rows (as statistics guess) and bytes of the tables."""
    rows, size = server.rows(
        "SELECT COALESCE(SUM(TABLE_ROWS), 0), COALESCE(SUM(DATA_LENGTH), 0)"
        " FROM information_schema.TABLES WHERE TABLE_SCHEMA = %s AND TABLE_TYPE = 'BASE TABLE'",
        server.database,
    )[0]
    return int(rows), int(size)
