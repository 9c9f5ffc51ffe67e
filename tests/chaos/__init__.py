"""Tests that try to break the promises: kills, cut connections, forged statuses, swapped images."""
