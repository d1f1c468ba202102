"""Where pipelines compute, and what torch's libraries keep there."""

from __future__ import annotations

import os
from contextlib import AbstractContextManager, nullcontext

import torch
from thinc.api import get_torch_default_device
from torch.nn.attention import SDPBackend, sdpa_kernel

KEPT_KERNELS = 16
SHORT_WINDOW = 192  # Pieces.


def on_gpu() -> bool:
    """Return whether a GPU was asked for, for example with `spacy.require_gpu`."""
    return get_torch_default_device().type != "cpu"


def keep_few_kernels() -> None:
    """Let oneDNN and ideep, torch's libraries on processors, keep what they prepared for the last shapes of batches alone.

    By default each keeps a thousand kernels of 50 kB to more than a megabyte. They read their settings when they first
    compute, so a process that has computed before stays as it is. Whoever has set one has decided.
    """
    for setting in ("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "LRU_CACHE_CAPACITY"):
        os.environ.setdefault(setting, str(KEPT_KERNELS))


def leave_out_cudnn_attention() -> None:
    """Let torch choose among its other kinds of attention from here on, in the whole process.

    cuDNN's, which torch prefers on recent GPUs, is prepared anew for every shape of a batch. That takes about a third of
    a second, and batches of texts come in hundreds of shapes.
    """
    torch.backends.cuda.enable_cudnn_sdp(False)


def attention_for_training(n_pieces: int) -> AbstractContextManager[None]:
    """On processors, let torch compute the attention of short windows step by step.

    Its fused attention reads faster, but takes longer back. From some 200 pieces on it is faster on the whole.
    """
    is_plain = n_pieces <= SHORT_WINDOW and not on_gpu()
    return sdpa_kernel(SDPBackend.MATH) if is_plain else nullcontext()
