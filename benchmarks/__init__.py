"""Measurements that are no tests: each prints a table, as ratios to a named peer in the same run."""
