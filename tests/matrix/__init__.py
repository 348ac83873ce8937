"""The kill matrix: isolated cells from snapshots of real servers, one fault each, as a table."""
