"""A made-up memory of realistic shape, the same on every machine: for the demo, for tests and for benchmarks."""

from __future__ import annotations

from ecm_agent.sample.shape import Shape
from ecm_agent.sample.stream import BATCH_SIZE, batches

__all__ = ["BATCH_SIZE", "Shape", "batches"]
