"""Benchmarks of the migration."""
