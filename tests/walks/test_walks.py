"""Promises 1 to 8 hold at every step of long random walks.

A walk that fails is made as short as it comes, and prints its steps, what happened, and the seed that repeats the run:
`SEED=n make soak`, or `SEED=n pytest tests/walks`.
"""

import os
import secrets

import pytest
from hypothesis import HealthCheck, seed, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.soak import trials
from tests.walks.machine import Walk

PARTS = 4
"""Runs of their own, so that several processes share the walks."""
SEED = int(os.environ.get("SEED") or secrets.randbelow(2**32))
SETTINGS = settings(
    max_examples=trials(200, 10_000) // PARTS,
    stateful_step_count=40,
    deadline=None,
    database=None,  # what a run does depends on its seed alone
    print_blob=True,
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(trials(1_200, 0))  # with the five minutes that it takes to make a failing walk short
@pytest.mark.parametrize("part", range(PARTS))
def test_the_promises_hold_at_every_step(part: int) -> None:
    """Whatever users, other people in Azure, faults and fate do, one after the other."""
    try:
        run_state_machine_as_test(seed(SEED + part)(Walk), settings=SETTINGS)
    except BaseException as error:
        error.add_note(f"SEED={SEED} repeats this run")
        raise
