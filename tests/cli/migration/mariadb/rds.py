"""What RDS for MariaDB is to its customer, on a real MariaDB server.

The account that is handed out has the master user's privileges and no others; schema `mysql` has
the procedures that the Amazon RDS user guide documents, which run as `rdsadmin` and write down how
they were called. What it cannot show: RDS's own parameter groups, failover and purging.
"""

from __future__ import annotations

from dataclasses import dataclass

import pymysql
from pymysql.cursors import Cursor

from cli.migration.proof.mariadb import MariaDbServer
from cli.migration.proof.scene import DATABASE
from cli.migration.proof.servers import ADMIN, ADMIN_PASSWORD

# The user guide's "Master user account privileges", as MariaDB 10.6 and newer call them.
MASTER = (
    "SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, RELOAD, PROCESS, REFERENCES, INDEX, ALTER,"
    " SHOW DATABASES, CREATE TEMPORARY TABLES, LOCK TABLES, EXECUTE, BINLOG MONITOR, CREATE VIEW,"
    " SHOW VIEW, CREATE ROUTINE, ALTER ROUTINE, CREATE USER, EVENT, TRIGGER, REPLICATION SLAVE,"
    " SLAVE MONITOR, DELETE HISTORY"
)
_NOTE = "INSERT INTO mysql.rds_history (call_) VALUES"
_PROCEDURES = (
    "CREATE TABLE mysql.rds_history (n INT AUTO_INCREMENT PRIMARY KEY, call_ TEXT)",
    "CREATE TABLE mysql.rds_configuration (name VARCHAR(100) PRIMARY KEY, value VARCHAR(100),"
    " description TEXT)",
    "INSERT INTO mysql.rds_configuration VALUES ('binlog retention hours', NULL, 'hours')",
    f"""CREATE PROCEDURE mysql.rds_set_external_master_gtid(host TEXT, port INT, user TEXT,
    password TEXT, gtid TEXT, encrypted INT) BEGIN
      SET SESSION sql_log_bin = 0;
      {_NOTE} (CONCAT_WS(' ', 'set', host, port, user, gtid, encrypted));
      SET GLOBAL gtid_slave_pos = gtid;
      EXECUTE IMMEDIATE CONCAT('CHANGE MASTER TO MASTER_HOST = ', QUOTE(host), ', MASTER_PORT = ',
        port, ', MASTER_USER = ', QUOTE(user), ', MASTER_PASSWORD = ', QUOTE(password),
        ', MASTER_CONNECT_RETRY = 1, MASTER_SSL = ', encrypted, ', MASTER_USE_GTID = slave_pos');
      SET SESSION sql_log_bin = 1; END""",
    f"""CREATE PROCEDURE mysql.rds_start_replication() BEGIN SET SESSION sql_log_bin = 0;
      {_NOTE} ('start'); START SLAVE; SET SESSION sql_log_bin = 1; END""",
    f"""CREATE PROCEDURE mysql.rds_stop_replication() BEGIN SET SESSION sql_log_bin = 0;
      {_NOTE} ('stop'); STOP SLAVE; SET SESSION sql_log_bin = 1; END""",
    f"""CREATE PROCEDURE mysql.rds_reset_external_master() BEGIN SET SESSION sql_log_bin = 0;
      {_NOTE} ('reset'); STOP SLAVE; RESET SLAVE ALL; SET SESSION sql_log_bin = 1; END""",
    f"""CREATE PROCEDURE mysql.rds_kill(session BIGINT) BEGIN SET SESSION sql_log_bin = 0;
      {_NOTE} ('kill'); SET SESSION sql_log_bin = 1; KILL HARD CONNECTION session; END""",
    "CREATE PROCEDURE mysql.rds_show_configuration() SELECT * FROM mysql.rds_configuration",
    """CREATE PROCEDURE mysql.rds_set_configuration(wanted VARCHAR(100), hours INT)
      UPDATE mysql.rds_configuration SET value = hours WHERE name = wanted""",
)


@dataclass
class RdsStandIn(MariaDbServer):
    """A MariaDB server whose administrator is the service; tests look at it as `rdsadmin`."""

    def connect(
        self,
        database: str | None = None,
        user: str = "rdsadmin",
        password: str = ADMIN_PASSWORD,
    ) -> pymysql.Connection[Cursor]:
        return super().connect(database, user, password)

    @classmethod
    def of(cls, server: MariaDbServer) -> RdsStandIn:
        """Take a fresh server away from its administrator."""
        with server.connect() as conn, conn.cursor() as cursor:
            cursor.execute("SET SESSION sql_log_bin = 0")
            cursor.execute("RENAME USER root@'%' TO rdsadmin@'%'")
        made = cls(server.number, server.folder, server.port, server.process)
        made.sql(*_PROCEDURES, database="mysql")
        made.sql(
            f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM {ADMIN}@'%'",
            f"GRANT {MASTER} ON *.* TO {ADMIN}@'%' WITH GRANT OPTION",
            database=None,
        )
        return made

    def calls(self) -> list[str]:
        """How the service's procedures were called, sessions that were ended apart."""
        with self.connect(DATABASE) as conn, conn.cursor() as cursor:
            cursor.execute("SELECT call_ FROM mysql.rds_history WHERE call_ <> 'kill' ORDER BY n")
            return [str(row[0]) for row in cursor.fetchall()]
