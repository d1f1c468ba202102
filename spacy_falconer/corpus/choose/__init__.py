"""Which texts to annotate, and how many texts of the corpus each of them stands for.

All strategies are handed numbers, never a model, and give places in the corpus, in its order:

choose_random      every text as likely
choose_diverse     spread over the texts' vectors: also what is seldom in the corpus
choose_balanced    what looks likely for each instruction, mixed with random texts; with weights
choose_uncertain   what the metamodel is unsure of, mixed with random texts; with weights

The design of the last two is in `sample`; what the weights are for, in `estimate` and `rounds`.
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
