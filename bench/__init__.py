"""Benchmarks: each is a command, and merges what it measured into `bench/out/latest.json` under its own key."""
