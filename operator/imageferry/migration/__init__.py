"""The decisions: pure functions from what was seen to what comes next.

Nothing here does I/O, reads a clock or rolls dice, so a decision can be tested by its
facts alone and repeated after any crash.
"""
