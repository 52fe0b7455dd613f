"""Results held against what DuckDB computes from the same input."""
