"""Quoting for MariaDB's SQL."""

from __future__ import annotations


def ident(name: str) -> str:
    """A name, quoted for SQL."""
    return "`" + name.replace("`", "``") + "`"


def literal(text: str) -> str:
    """A text, quoted for SQL."""
    return "'" + text.replace("\\", "\\\\").replace("'", "''") + "'"


def account(user: str, host: str) -> str:
    """An account's name as statements take it; the percent sign is no placeholder in it."""
    return f"{literal(user)}@{literal(host)}"
