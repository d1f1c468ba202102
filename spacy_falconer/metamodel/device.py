"""Where pipelines compute."""

from __future__ import annotations

import torch
from thinc.api import get_torch_default_device


def on_gpu() -> bool:
    """Return whether a GPU was asked for, for example with `spacy.require_gpu`."""
    return get_torch_default_device().type != "cpu"


def leave_out_cudnn_attention() -> None:
    """Let torch choose among its other kinds of attention from here on, in the whole process.

    cuDNN's, which torch prefers on recent GPUs, is prepared anew for every shape of a batch. That takes about a third of
    a second, and batches of texts come in hundreds of shapes.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)
