"""Average the weights of several models. If all started from the same weights, the mean is steadier than any of them.

Source: Wortsman and others, Model soups: averaging weights of multiple fine-tuned models, 2022.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from thinc.api import Model
from torch import Tensor

State = Mapping[str, Tensor]


def average_models(models: Sequence[Model]) -> None:
    """Give the first of several models of the same architecture the mean of all their weights. A single one is unchanged."""
    for nodes in zip(*(list(model.walk()) for model in models), strict=True):
        for name in nodes[0].param_names:
            if nodes[0].has_param(name):
                nodes[0].set_param(name, sum(node.get_param(name) for node in nodes) / len(nodes))
        for shims in zip(*(node.shims for node in nodes), strict=True):
            shims[0]._model.load_state_dict(average_states([shim._model.state_dict() for shim in shims]))


def average_states(states: Sequence[State]) -> dict[str, Tensor]:
    """Return the mean of torch modules' states. Values that are not floating-point are those of the first."""
    return {
        name: sum(state[name] for state in states) / len(states) if value.is_floating_point() else value  # type: ignore[misc]
        for name, value in states[0].items()
    }
