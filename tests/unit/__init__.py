"""Tests of code that does no I/O: no socket is opened here."""
