"""What proves a migration: real servers, a writer that acknowledges, probes, and invariants."""
