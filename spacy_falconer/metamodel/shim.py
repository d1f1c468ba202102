"""Torch modules inside thinc models that several threads may use for prediction at once."""

from __future__ import annotations

from typing import Any

import torch
from thinc.api import ArgsKwargs, PyTorchShim


class ReadingShim(PyTorchShim):
    """Leaves its module in evaluation mode after a prediction; training sets its own mode.

    Thinc's shim sets it back to training mode at once, which switches dropout on for other threads that are predicting.

    reads_in_bf16: Whether predictions on a CPU are made in bfloat16.
    """

    reads_in_bf16 = False

    def predict(self, inputs: ArgsKwargs) -> Any:
        self._model.eval()
        in_half = torch.autocast("cuda", enabled=self._mixed_precision)
        with torch.no_grad(), in_half, torch.autocast("cpu", torch.bfloat16, enabled=self.reads_in_bf16):
            return self._model(*inputs.args, **inputs.kwargs)
