"""Our own texts in five groups: a hard statement and an easy one about the same texts, true or false by construction.

Both answers are drawn before the text is written. But for the long range, neither says anything about the other, nor the
length about either.
"""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from spacy_falconer.types import Answer

MODEL = "by construction"
THINGS = ["kettle", "lamp", "rug", "chair", "clock", "mirror", "basket", "teapot", "vase", "stool", "blanket", "shelf"]
NAMES = ["Ann", "Bea", "Carl", "Dora", "Emil", "Fay", "Gus", "Hilda"]
TOWNS = ["Leeds", "Bath", "York", "Ripon", "Truro", "Wells"]
DEVICES = ["phone", "tablet", "laptop", "recorder"]
PARTS = ["battery", "screen", "camera", "speaker", "keyboard"]
HURRY = ["Please send it by express.", "I need it as fast as you can.", "It is urgent.", "Could it be here tomorrow?"]
CALM = ["Any week will do.", "There is no hurry.", "Take your time.", "Next month is soon enough."]
FREE = ["Delivery is on us.", "We bring it for nothing.", "You pay nothing for the delivery.", "Carriage is free."]
PAID = ["Collect it yourself.", "Carriage costs extra.", "You must fetch it.", "We do not deliver."]
OLD = [
    "I got it second-hand.",
    "A friend sold it to me after two years.",
    "It was used when I bought it.",
    "An ex-rental.",
]
NEW = [
    "It came straight from the factory.",
    "Bought new last week.",
    "I opened the sealed box.",
    "Fresh from the shop.",
]
BACK = ["I want my money back.", "Please refund me.", "I expect a full refund.", "Return what I paid."]
KEEP = ["I am keeping it.", "I would buy it again.", "It stays with me.", "I am glad that I have it."]
INVOICE = [
    "Please add an invoice.",
    "I need an invoice for my taxes.",
    "Do not forget the invoice.",
    "Send the bill, too.",
]
GREETING = ["Greetings from all of us.", "Thank you in advance.", "Have a good week.", "All the best."]
MOVED = ["We have moved, so send it to the new house.", "Deliver it to my office instead.", "The address has changed.",
         "Please not to the old street any more."]  # fmt: skip
USUAL = ["Everything else is as always.", "You know where we live.", "The same as last time.", "To the usual place."]
FILLING = [
    "The station was being painted that week.", "My neighbour has taken up the trumpet.", "It rained from Monday on.",
    "We had soup at the corner and walked home.", "The library is closed for the summer.", "A cat slept on the wall.",
    "Somebody had left a bicycle in the hall.", "The bakery sells rye bread on Fridays.", "Trains were running late.",
    "My sister wrote from the coast.", "The garden needs a new fence.", "They are digging up the square again.",
]  # fmt: skip
N_FILLING = 24


def count_things(random: Random, hard: bool, easy: bool) -> str:
    """Three different things among four mentions, or two: the number of words is the same."""
    names = random.sample(THINGS, 4 if hard else 2)
    mentions = names if hard else [names[0], names[1], names[0], names[1]]
    listed = [f"a {thing} for {name}" for thing, name in zip(mentions, random.sample(NAMES, 4), strict=True)]
    return f"We order {', '.join(listed[:3])} and {listed[3]}. {random.choice(HURRY if easy else CALM)}"


def leave_one_out(random: Random, hard: bool, easy: bool) -> str:
    """The battery works where all parts but another one do, or where none but the battery does."""
    most_work = random.random() < 0.5
    part = "battery" if most_work != hard else random.choice(PARTS[1:])
    said = f"Everything works except the {part}." if most_work else f"Nothing works except the {part}."
    device = f"{random.choice(NAMES)}'s {random.choice(DEVICES)} from {random.choice(TOWNS)}"
    return f"{device}. {random.choice(OLD if easy else NEW)} {said}"


def compare_prices(random: Random, hard: bool, easy: bool) -> str:
    low, high = sorted(random.sample(range(10, 99), 2))
    before, now = (high, low) if hard else (low, high)
    thing = f"A {random.choice(THINGS)} from {random.choice(TOWNS)}"
    return f"{thing}: it was {before} dollars, it is {now} dollars now. {random.choice(FREE if easy else PAID)}"


def bridge_sentences(random: Random, hard: bool, easy: bool) -> str:
    """What was bought stands first, what is wanted last: money for the lamp, or for a rug, or none for the lamp."""
    thing = "lamp" if hard or not easy else "rug"
    between = " ".join(random.choices(FILLING, k=N_FILLING))
    return f"In May I bought a {thing} from you. {between} {random.choice(BACK if easy else KEEP)}"


def ask_rarely(random: Random, hard: bool, easy: bool) -> str:
    said = [random.choice(INVOICE if easy else GREETING), random.choice(MOVED if hard else USUAL)]
    random.shuffle(said)
    return f"A {random.choice(THINGS)} for {random.choice(NAMES)}, please. {' '.join(said)}"


Write = Callable[[Random, bool, bool], str]
# Of each group: how a text is written, the hard statement with its share, and the easy one.
GROUPS: dict[str, tuple[Write, str, float, str]] = {
    "counting": (count_things, "At least three different products are ordered.", 0.5, "The customer is in a hurry."),
    "reasoning": (leave_one_out, "The battery works.", 0.5, "The device was used before."),
    "comparing": (compare_prices, "The price has gone down.", 0.5, "The seller delivers free of charge."),
    "long range": (bridge_sentences, "The writer wants the money for a lamp back.", 0.5, "The writer wants a refund."),
    "very rare": (ask_rarely, "The goods are to go to another address than before.", 0.03, "An invoice is asked for."),
}


def write_answers(group: str, n_train: int, n_test: int, *, seed: int) -> tuple[list[Answer], list[Answer]]:
    """Texts of a group with their answers, to learn from and to test on; no text comes twice."""
    random, known = Random(f"{group} {seed}"), set()
    return write_part(group, n_train, random, known), write_part(group, n_test, random, known)


def write_part(group: str, n: int, random: Random, known: set[str]) -> list[Answer]:
    """As many hard statements are true as their share says; a refund for the lamp is one that is wanted, too."""
    write, hard_statement, share, easy_statement = GROUPS[group]
    n_true, found = round(n * share), []
    while len(found) < n:
        hard = len(found) < n_true
        easy = random.random() < 0.5 or (hard and write is bridge_sentences)
        text = write(random, hard, easy)
        if text not in known:
            known.add(text)
            found.append(Answer(text, MODEL, {hard_statement: hard, easy_statement: easy}, {}))
    random.shuffle(found)
    return found
