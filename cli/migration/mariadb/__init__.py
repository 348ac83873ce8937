"""MariaDB as an engine of the migration: GTID replication between two servers."""
