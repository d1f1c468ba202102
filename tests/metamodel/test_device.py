"""What torch's libraries keep."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

CHECK = """
from spacy_falconer.metamodel.device import keep_few_kernels
keep_few_kernels()
import torch
def measure_code():
    found = 0
    for line in open("/proc/self/maps"):
        place, rights, *_, name = (line.split() + [""])[:6]
        start, end = (int(part, 16) for part in place.split("-"))
        found += (end - start) * ("x" in rights and not name)
    return found
for n in range(1, 420):
    torch.nn.functional.gelu(torch.ones(16, 64 * n))
    if n == 20:
        before = measure_code()
print((measure_code() - before) / 1e6)
"""


@pytest.mark.skipif(
    (sys.platform, platform.machine()) != ("linux", "x86_64"),
    reason="oneDNN makes kernels for x86; Linux lists what a process holds",
)
@pytest.mark.parametrize(("setting", "grows"), [(None, False), ("1024", True)])
def test_kernels_for_old_shapes_are_given_back_unless_the_user_wants_them(setting, grows):
    env = {key: value for key, value in os.environ.items() if "CACHE_CAPACITY" not in key}
    if setting:
        env |= {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": setting}
    done = subprocess.run([sys.executable, "-c", CHECK], env=env, capture_output=True, text=True, check=True)
    assert (float(done.stdout) > 10) == grows, "MB of kernels"
