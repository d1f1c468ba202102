"""Torch modules inside thinc models that several threads may use for prediction at once."""

from __future__ import annotations

from typing import Any

import torch
from thinc.api import ArgsKwargs, PyTorchShim


class ReadingShim(PyTorchShim):
    """Leaves its module in evaluation mode after a prediction; training sets its own mode.

    Thinc's shim sets it back to training mode at once, which switches dropout on for other threads that are predicting.
    """

    def predict(self, inputs: ArgsKwargs) -> Any:
        self._model.eval()
        with torch.no_grad(), torch.autocast("cuda", enabled=self._mixed_precision):
            return self._model(*inputs.args, **inputs.kwargs)
