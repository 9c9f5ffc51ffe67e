"""Benchmarks: plain scripts that print what they measured and keep it in bench/out/latest.json."""
