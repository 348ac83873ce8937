"""Oracle and SQL Server to PostgreSQL through AWS DMS.

DMS moves and validates the data; firstbell orchestrates it, proves that nothing is missing before
users follow, and asks a person before the one step that cannot be taken back: there is no task
that runs the other way, so `switch` is the point of no return.

- `model`: what the migration's file says about it;
- `task`: what a task is told (mappings, settings), and what its statistics mean; pure;
- `service`: the calls to AWS;
- `source`: the source as commands reach it, since no driver of ours does;
- `engine`: all of it as the state machine wants it.
"""
