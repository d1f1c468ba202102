"""Choose texts to annotate, and tell how many texts of the corpus each of them stands for.

The strategies take numbers, never a model, and choose in the order of the corpus:

choose_random      texts at random, all equally likely
choose_diverse     texts spread over the vectors, so that rare ones are included
choose_balanced    texts that look likely for each instruction, mixed with random ones; with weights
choose_uncertain   texts that the metamodel is unsure of, mixed with random ones; with weights

`sample` explains the design of the last two; `estimate` and `rounds` show what the weights are for.
"""

from spacy_falconer.corpus.choose.estimate import Share, estimate_f, estimate_share
from spacy_falconer.corpus.choose.rounds import combine_rounds, has_stopped_growing
from spacy_falconer.corpus.choose.strategies import choose_balanced, choose_diverse, choose_random, choose_uncertain

__all__ = [
    "Share",
    "choose_balanced",
    "choose_diverse",
    "choose_random",
    "choose_uncertain",
    "combine_rounds",
    "estimate_f",
    "estimate_share",
    "has_stopped_growing",
]
