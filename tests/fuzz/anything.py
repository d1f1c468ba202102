"""What strangers may hand in, and how much of it is tried: `FUZZ_EXAMPLES=5000 pytest tests/fuzz` tries new cases."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

N_EXAMPLES = os.environ.get("FUZZ_EXAMPLES")
fuzz = settings(
    max_examples=int(N_EXAMPLES or 50), derandomize=N_EXAMPLES is None, database=None, deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)  # fmt: skip

words = st.text(max_size=30)  # Any characters, halves of some among them no more than UTF-8 allows.
halves = st.text(st.characters(codec=None), max_size=10)  # Lone surrogates, too.
scalars = st.none() | st.booleans() | st.integers() | st.floats() | words | halves
json_values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(words, inner, max_size=4), max_leaves=12
)
