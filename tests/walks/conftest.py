"""Walks meet more errors than a log can hold: what went wrong is told by the oracle's trace."""

import logging
from collections.abc import Iterator

import pytest
import structlog


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Drop what the operator and Azure's SDK log, and restore both afterwards."""
    azure, before = logging.getLogger("azure"), structlog.get_config()
    level = azure.level
    azure.setLevel(logging.CRITICAL)
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    yield
    structlog.configure(**before)
    azure.setLevel(level)
