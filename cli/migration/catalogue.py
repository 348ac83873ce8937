"""What a PostgreSQL database consists of, as comparable lines; and how to heal a difference.

Two kinds of lines. *Portable* ones (columns, types, constraints, indexes, grants, ...) read the
same on every version from 13 to 18 and are compared between the sides. *Opaque* ones (bodies of
views, functions and rules, which newer versions print differently) are compared with the same
side's own lines at the end of `copy`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from cli.migration.engine import Difference, Lines
from cli.migration.postgres import Server, ident

# Objects of the system, of extensions and of ours are no part of the application.
_USER_SCHEMA: Final = (
    "n.nspname NOT IN ('pg_catalog', 'information_schema', 'firstbell')"
    " AND n.nspname NOT LIKE 'pg\\_toast%' AND n.nspname NOT LIKE 'pg\\_temp%'"
)


def _not_of_extension(table: str, column: str) -> str:
    return (
        f"NOT EXISTS (SELECT 1 FROM pg_depend e WHERE e.classid = '{table}'::regclass"
        f" AND e.objid = {column} AND e.deptype = 'e')"
    )


_REL: Final = f"{_USER_SCHEMA} AND {_not_of_extension('pg_class', 'c.oid')}"
_NAME: Final = "format('%I.%I', n.nspname, c.relname)"
_CLASS: Final = "pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace"

# Grants of roles that exist on one side only (ours) are left out by name.
_ACL: Final = (
    "(SELECT string_agg(g, ',' ORDER BY g) FROM (SELECT concat_ws(' ',"
    " coalesce(r.rolname::text, 'public'), x.privilege_type, x.is_grantable) AS g"
    " FROM aclexplode({acl}) x LEFT JOIN pg_roles r ON r.oid = x.grantee"
    # MAINTAIN exists since version 17.
    " WHERE x.privilege_type <> 'MAINTAIN'"
    " AND (r.rolname IS NULL OR r.rolname NOT LIKE 'firstbell\\_%')) q)"
)


def _acl(acl: str, kind: str, owner: str) -> str:
    """Grants as text; none at all means the built-in ones of this kind of object."""
    return _ACL.format(acl=f"coalesce({acl}, acldefault({kind}, {owner}))")


_SCHEMA_ACL: Final = _acl("n.nspacl", "'n'", "n.nspowner")
_FUNCTION_ACL: Final = _acl("p.proacl", "'f'", "p.proowner")
_REL_ACL: Final = _acl(
    "c.relacl", "CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::\"char\"", "c.relowner"
)

_PORTABLE: Final[Mapping[str, str]] = {
    "schema": "SELECT format('%I', n.nspname), concat_ws(' | ', pg_get_userbyid(n.nspowner),"
    f" {_SCHEMA_ACL}) FROM pg_namespace n WHERE {_USER_SCHEMA}"
    " AND n.nspname <> 'public'",
    "relation": f"SELECT {_NAME}, concat_ws(' | ', c.relkind, c.relpersistence,"
    " pg_get_userbyid(c.relowner), c.relrowsecurity, c.relforcerowsecurity, c.relispartition,"
    " pg_get_partkeydef(c.oid), pg_get_expr(c.relpartbound, c.oid),"
    " array_to_string(c.reloptions, ','))"
    f" FROM {_CLASS} WHERE c.relkind IN ('r','p','v','m','f','S') AND {_REL}",
    "grant": f"SELECT {_NAME}, {_REL_ACL} FROM {_CLASS}"
    f" WHERE c.relkind IN ('r','p','v','m','f','S') AND {_REL}",
    "column": f"SELECT {_NAME} || '.' || quote_ident(a.attname), concat_ws(' | ',"
    " format_type(a.atttypid, a.atttypmod), CASE WHEN a.attnotnull THEN 'not null' END,"
    # Since version 17 partitions have their parent's identity.
    " CASE WHEN a.attidentity <> '' AND NOT c.relispartition"
    " THEN 'identity ' || a.attidentity::text END,"
    " CASE WHEN a.attgenerated <> '' THEN 'generated ' || a.attgenerated::text END,"
    " pg_get_expr(d.adbin, d.adrelid),"
    " CASE WHEN a.attcollation <> t.typcollation THEN 'collate ' || l.collname END,"
    f" {_ACL.format(acl='a.attacl')})"
    f" FROM {_CLASS} JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0"
    " AND NOT a.attisdropped JOIN pg_type t ON t.oid = a.atttypid"
    " LEFT JOIN pg_collation l ON l.oid = a.attcollation"
    " LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum"
    f" WHERE c.relkind IN ('r','p','v','m','f') AND {_REL}",
    # Since version 18 NOT NULL is a constraint as well; it is compared with the column.
    "constraint": f"SELECT {_NAME} || '.' || quote_ident(k.conname), pg_get_constraintdef(k.oid)"
    f" FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid"
    f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE k.contype <> 'n' AND {_REL}",
    "index": f"SELECT {_NAME}, concat_ws(' | ', pg_get_indexdef(i.indexrelid),"
    " CASE WHEN NOT i.indisvalid THEN 'invalid' END)"
    f" FROM pg_index i JOIN {_CLASS} ON c.oid = i.indexrelid WHERE {_REL}",
    "sequence": f"SELECT {_NAME}, concat_ws(' | ', format_type(s.seqtypid, NULL), s.seqstart,"
    " s.seqincrement, s.seqmax, s.seqmin, s.seqcache, s.seqcycle)"
    f" FROM pg_sequence s JOIN {_CLASS} ON c.oid = s.seqrelid WHERE {_REL}",
    "type": "SELECT format('%I.%I', n.nspname, t.typname), concat_ws(' | ', t.typtype,"
    " pg_get_userbyid(t.typowner), (SELECT string_agg(enumlabel, ',' ORDER BY enumsortorder)"
    " FROM pg_enum WHERE enumtypid = t.oid), format_type(nullif(t.typbasetype, 0), t.typtypmod))"
    " FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace"
    f" WHERE t.typtype IN ('e','d') AND {_USER_SCHEMA} AND {_not_of_extension('pg_type', 't.oid')}",
    "trigger": f"SELECT {_NAME} || '.' || quote_ident(t.tgname), concat_ws(' | ', t.tgtype,"
    f" t.tgenabled, t.tgfoid::regproc) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND {_REL}",
    "policy": f"SELECT {_NAME} || '.' || quote_ident(p.polname), concat_ws(' | ', p.polcmd,"
    " p.polpermissive) FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
    f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_REL}",
    "function": "SELECT format('%I.%I(%s)', n.nspname, p.proname,"
    " pg_get_function_identity_arguments(p.oid)), concat_ws(' | ', p.prokind, l.lanname,"
    " pg_get_function_result(p.oid), p.provolatile, p.prosecdef, pg_get_userbyid(p.proowner),"
    f" {_FUNCTION_ACL})"
    " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
    " JOIN pg_language l ON l.oid = p.prolang"
    f" WHERE {_USER_SCHEMA} AND {_not_of_extension('pg_proc', 'p.oid')}",
    "extension": "SELECT e.extname::text, n.nspname::text FROM pg_extension e"
    " JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname <> 'plpgsql'",
}

_OPAQUE: Final[Mapping[str, str]] = {
    "view": f"SELECT {_NAME}, md5(pg_get_viewdef(c.oid)) FROM {_CLASS}"
    f" WHERE c.relkind IN ('v','m') AND {_REL}",
    "function body": "SELECT format('%I.%I(%s)', n.nspname, p.proname,"
    " pg_get_function_identity_arguments(p.oid)), md5(concat(p.prosrc, p.probin,"
    " array_to_string(p.proconfig, ',')))"
    " FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace"
    f" WHERE {_USER_SCHEMA} AND {_not_of_extension('pg_proc', 'p.oid')}",
    "rule": f"SELECT {_NAME} || '.' || quote_ident(r.rulename), md5(pg_get_ruledef(r.oid))"
    f" FROM pg_rewrite r JOIN pg_class c ON c.oid = r.ev_class"
    f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE r.rulename <> '_RETURN' AND {_REL}",
    "trigger body": f"SELECT {_NAME} || '.' || quote_ident(t.tgname),"
    " md5(pg_get_triggerdef(t.oid)) FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
    f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND {_REL}",
    "policy body": f"SELECT {_NAME} || '.' || quote_ident(p.polname),"
    " md5(concat(pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid)))"
    f" FROM pg_policy p JOIN pg_class c ON c.oid = p.polrelid"
    f" JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {_REL}",
}


def _read(server: Server, queries: Mapping[str, str]) -> Lines:
    union = " UNION ALL ".join(
        f"SELECT '{kind}', q.* FROM ({query}) AS q(name, definition)"
        for kind, query in queries.items()
    )
    return {
        (str(kind), str(name)): str(definition or "")
        for kind, name, definition in server.rows(union)
    }


def portable(server: Server) -> Lines:
    """Lines that are equal on every version when the databases are."""
    return _read(server, _PORTABLE)


def opaque(server: Server) -> Lines:
    """Lines that only compare with themselves on the same server."""
    return _read(server, _OPAQUE)


def healing(difference: Difference, behind: str) -> str:
    """The statement that brings the side that is behind level, as far as the catalogue tells it."""
    ahead = difference.source if behind == "target" else difference.target
    have = difference.target if behind == "target" else difference.source
    on = f"on the {behind}"
    table, _, column = difference.name.rpartition(".")
    if difference.kind == "column" and ahead is not None and have is None:
        parts = ahead.split(" | ")
        rest = " NOT NULL" if "not null" in parts else ""
        default = [p for p in parts[1:] if p != "not null" and not p.startswith("collate ")]
        if default and not default[0].startswith(("identity", "generated")):
            rest += f" DEFAULT {default[0]}"
        return f"{on}: ALTER TABLE {table} ADD COLUMN {column} {parts[0]}{rest};"
    if difference.kind == "column" and ahead is None:
        return f"{on}: ALTER TABLE {table} DROP COLUMN {column};"
    if difference.kind == "index" and ahead is not None and have is None:
        return f"{on}: {ahead.split(' | ')[0]};"
    if difference.kind == "constraint" and ahead is not None and have is None:
        return f"{on}: ALTER TABLE {table} ADD CONSTRAINT {column} {ahead};"
    if difference.kind == "relation" and ahead is not None and have is None:
        return f"{on}: create {difference.name} as it is on the other side (pg_dump -s -t)"
    return f"{on}: run the statement that changed {difference.kind} {difference.name} elsewhere"


# Tables and sequences


def tables(server: Server) -> list[str]:
    """Quoted names of the tables whose rows are replicated: permanent, partitions by themselves."""
    return [
        str(name)
        for (name,) in server.rows(
            f"SELECT {_NAME} FROM {_CLASS}"
            f" WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND {_REL} ORDER BY 1"
        )
    ]


def unlogged(server: Server) -> list[str]:
    """Quoted names of unlogged tables, whose rows are carried inside the fence."""
    return [
        str(name)
        for (name,) in server.rows(
            f"SELECT {_NAME} FROM {_CLASS}"
            f" WHERE c.relkind = 'r' AND c.relpersistence = 'u' AND {_REL} ORDER BY 1"
        )
    ]


def materialised(server: Server) -> list[tuple[str, bool]]:
    """Quoted names of materialised views in the order of creation, and whether they have rows."""
    return [
        (str(name), bool(filled))
        for name, filled in server.rows(
            f"SELECT {_NAME}, c.relispopulated FROM {_CLASS}"
            f" WHERE c.relkind = 'm' AND {_REL} ORDER BY c.oid"
        )
    ]


def sequences(server: Server) -> dict[str, tuple[int, bool, int, int]]:
    """Quoted name -> last value, whether it was handed out, increment and cache."""
    found = server.rows(
        f"SELECT {_NAME}, s.seqincrement, s.seqcache"
        f" FROM pg_sequence s JOIN {_CLASS} ON c.oid = s.seqrelid WHERE {_REL} ORDER BY 1"
    )
    if not found:
        return {}
    values = {
        str(name): (int(last), bool(called))
        for name, last, called in server.rows(
            " UNION ALL ".join(
                f"SELECT $q${name}$q$, last_value, is_called FROM {name}" for name, *_ in found
            )
        )
    }
    return {str(name): (*values[str(name)], int(step), int(cache)) for name, step, cache in found}


def schemas(server: Server) -> list[str]:
    """The application's schemas."""
    return [
        str(name)
        for (name,) in server.rows(f"SELECT n.nspname FROM pg_namespace n WHERE {_USER_SCHEMA}")
    ]


def without_identity(server: Server) -> list[tuple[str, str | None]]:
    """Tables that cannot replicate updates, with the unique index that could serve, if any."""
    return [
        (str(name), str(index) if index else None)
        for name, index in server.rows(
            f"SELECT {_NAME}, (SELECT format('%I', x.relname) FROM pg_index i"
            " JOIN pg_class x ON x.oid = i.indexrelid WHERE i.indrelid = c.oid AND i.indisunique"
            " AND i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL"
            " AND NOT EXISTS (SELECT 1 FROM unnest(i.indkey) k JOIN pg_attribute a"
            " ON a.attrelid = c.oid AND a.attnum = k WHERE NOT a.attnotnull)"
            " ORDER BY i.indnatts, x.relname LIMIT 1)"
            f" FROM {_CLASS} WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND {_REL}"
            " AND (c.relreplident = 'n' OR (c.relreplident = 'd' AND NOT EXISTS"
            " (SELECT 1 FROM pg_index p WHERE p.indrelid = c.oid AND p.indisprimary))) ORDER BY 1"
        )
    ]


def row_estimates(server: Server) -> tuple[int, int]:
    """Rows (as the planner guesses) and bytes of the tables that are replicated."""
    count, size = server.rows(
        "SELECT coalesce(sum(greatest(c.reltuples, 0)), 0)::bigint,"
        f" coalesce(sum(pg_table_size(c.oid)), 0)::bigint FROM {_CLASS}"
        f" WHERE c.relkind = 'r' AND c.relpersistence = 'p' AND {_REL}"
    )[0]
    return int(count), int(size)


def quoted(schema: str, table: str) -> str:
    return f"{ident(schema)}.{ident(table)}"
