"""Labels of data sets, said as people would ask for them. The wording is this project's own.

A label has a meaning ("names of people"), some have other names ("persons"), and templates turn either into
instructions for spans or into statements that are true or false of a text.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from pathlib import Path
from random import Random

from spacy_falconer.errors import CorpusError

Meanings = Mapping[str, Mapping[str, str]]

SPAN_TEMPLATES = (
    "{}", "{}", "{}", "All mentions of {}.", "All {}.", "Which {} are mentioned?", "Find {}.", "Extract {}.", "Mark all {}.",
    "{} mentioned in the text", "{} that the text mentions", "Every mention of {}.", "What {} does the text mention?",
    "Passages that name {}.", "List the {}.", "Any {}?", "The {} in this text.", "Words that refer to {}.",
)  # fmt: skip
MENTION_TEMPLATES = (
    "The text mentions {}.", "mentions {}", "Does the text mention {}?", "There is a mention of {}.", "Names at least one of: {}.",
    "{} are mentioned.", "Are there any {}?", "It says something about {}.",
)  # fmt: skip
NO_MENTION_TEMPLATES = ("The text does not mention any {}.", "No {} are mentioned.", "without any {}")
TOPIC_TEMPLATES = (
    "The text is about {}.", "This message asks about {}.", "The user's request is about {}.", "{}", "about {}",
    "Is the user asking about {}?", "The topic is {}.", "The speaker talks about {}.", "It concerns {}.",
    "The user needs help with {}.", "The customer asks about {}.", "Intent: {}.", "a request about {}",
)  # fmt: skip
WANT_TEMPLATES = (
    "The user wants to {}.", "The speaker would like to {}.", "Does the user want to {}?", "a request to {}", "{}",
    "The intent is to {}.", "Someone asks to {}.", "The customer wants to {}.",
)  # fmt: skip

# Other names of common meanings: one is drawn in place of the meaning.
SYNONYMS = {
    "names of people": ("people", "persons", "person names", "individuals", "named persons", "who is mentioned by name", "human beings by name"),
    "people": ("persons", "person names", "individuals", "names of people"),
    "mentions of people (named or not)": ("people, named or not", "persons, also pronouns", "mentions of human beings", "anyone mentioned"),
    "names of places (cities, countries, regions, rivers...)": ("places", "locations", "geographical names", "place names", "countries, cities and other places", "location names"),
    "mentions of places": ("places", "locations, named or not", "where things happen", "sites and places"),
    "names of organisations (companies, institutions, teams, parties)": ("organisations", "organizations", "companies and institutions", "names of organizations", "companies, agencies, clubs and bands", "institutions"),
    "mentions of organisations": ("organisations", "organizations, named or not", "companies and institutions"),
    "other named entities (nationalities, events, works, products, languages)": ("other named entities", "miscellaneous names", "names of works, events, products or nationalities", "proper names that are no person, place or organisation"),
    "diseases, symptoms and disorders": ("diseases", "disorders", "illnesses", "medical conditions", "disease names", "names of diseases"),
    "genes and proteins": ("genes", "proteins", "gene names", "protein names", "gene and protein names"),
    "genes and gene products": ("genes", "proteins", "genes or proteins", "gene names"),
    "anatomical parts": ("anatomy", "body parts, tissues and cells", "parts of organisms", "anatomical structures"),
    "species and organisms": ("species", "organisms", "species names", "living things"),
    "taxa": ("species", "organisms", "kinds of animals and plants", "taxonomic names"),
    "chemicals": ("chemical substances", "chemical compounds", "names of chemicals"),
    "simple chemicals": ("chemicals", "chemical compounds", "drugs and small molecules", "small molecules"),
    "chemicals and drugs": ("chemicals", "drugs", "substances"),
    "cell types": ("kinds of cells", "cells"),
    "cellular components": ("parts of the cell", "organelles and cell structures"),
    "cancers": ("tumours", "kinds of cancer", "cancer types"),
    "organisms": ("species", "living things", "animals, plants and microbes"),
    "abstract concepts": ("abstract ideas", "abstractions", "concepts"),
    "physical objects": ("objects", "things one can touch", "artefacts"),
    "events": ("happenings", "things that happen", "actions and events"),
    "times and dates": ("dates", "points in time", "when it happens", "time expressions"),
    "quantities and amounts": ("quantities", "amounts", "how much or how many"),
    "software applications": ("programs", "software", "names of software", "apps"),
    "libraries": ("software libraries", "frameworks and packages"),
    "programming languages": ("languages that one programs in", "computer languages"),
    "UI elements": ("parts of a user interface", "buttons, fields and windows"),
    "literal values": ("values", "constants in code"),
    "actions the experimenter performs": ("actions", "verbs for what is done", "steps that are carried out", "lab actions"),
    "reagents and chemicals": ("reagents", "chemicals used", "substances", "solutions and chemicals"),
    "containers / locations": ("containers", "where samples are kept", "tubes, plates and other containers"),
    "durations and times": ("durations", "how long each step takes", "times"),
    "devices and tools": ("devices", "equipment", "lab tools", "instruments"),
    "amounts": ("quantities", "volumes and weights", "how much is used"),
    "temperatures": ("temperature values", "how warm or cold"),
    "counts and measurements with unit": ("quantities", "measurements", "numbers with their units", "measured values"),
    "the thing that is measured": ("measured entities", "what is measured", "things with a measured property"),
    "the property that is measured": ("measured properties", "which property is measured"),
    "malware names": ("malware", "names of viruses and trojans", "malicious software"),
    "software, systems and platforms": ("systems", "software", "platforms and systems"),
    "indicators of compromise (hashes, domains, files, IPs)": ("indicators of compromise", "hashes, domains, file names and IP addresses"),
    "organisations and threat actors": ("organisations", "companies and hacker groups"),
    "vulnerabilities (CVE...)": ("vulnerabilities", "security holes"),
    "protein complexes": ("complexes of proteins",),
    "sequence features": ("features of DNA or RNA sequences",),
}  # fmt: skip

MISSING_MEANINGS = {
    "bionlp13cg": {"Multi-tissue_structure": "structures of several tissues"},
    "bionlp11id": {"Protein": "proteins", "Regulon-operon": "regulons and operons"},
    "dstc8_slots": {"subcategory": "kind of event"},
    "stackoverflow_ner": {"Keyboard_IP": "keys of the keyboard", "Licence": "software licences"},
    "nlupp_intents": {
        "housekeeping": "is the intent to ask something about housekeeping?",
        "accesibility": "is the intent to ask something about accessibility?",
    },
}

STATEMENTS = {
    "vader_snippets": {
        "positive": (
            "The text expresses a positive opinion.", "The writer is satisfied.", "The writer likes it.", "positive sentiment",
            "Is the tone positive?", "The author speaks well of something.", "This is praise.", "The writer is pleased.",
            "a favourable opinion", "good news or a good opinion", "The feeling is mostly positive.", "The reviewer is happy with it.",
        ),
        "negative": (
            "The text expresses a negative opinion.", "The writer is dissatisfied.", "The writer dislikes it.", "negative sentiment",
            "Is the tone negative?", "The author speaks badly of something.", "This is a complaint or a criticism.",
            "The writer is unhappy.", "an unfavourable opinion", "The feeling is mostly negative.", "The reviewer is disappointed.",
        ),
        "neutral": (
            "The text is neutral.", "No opinion is expressed.", "neutral sentiment", "The tone is factual, without praise or blame.",
            "neither positive nor negative",
        ),
        "genre:film_review": ("The text is from a film review.", "a movie review", "It is about a film.", "Is this about a movie?"),
        "genre:amazon_review": ("The text is from a product review.", "a customer's review of a product", "It is about a product."),
        "genre:news_editorial": ("The text is from a newspaper editorial.", "news commentary", "It is about politics or the news."),
        "genre:tweet": ("This is a tweet.", "a short message on social media", "The text was posted on Twitter."),
    },
}  # fmt: skip

INTENTS = {
    "oos": "something else than the assistant offers", "pto_request": "request time off", "pto_balance": "remaining days off",
    "pto_used": "days off that were taken", "pto_request_status": "whether the time off was approved", "mpg": "fuel economy",
    "apr": "the yearly interest rate of a card", "w2": "the W-2 tax form", "todo_list": "what is on the to-do list",
    "rollover_401k": "a 401k retirement account", "uber": "getting an Uber or a taxi", "text": "sending a text message",
    "order": "ordering something", "routing": "the routing number of a bank", "gas": "how much fuel is left", "insurance": "insurance",
    "meta": "the assistant itself and its settings", "utility": "everyday tools such as timers, weather and conversions",
    "yes": "saying yes", "no": "saying no", "maybe": "being undecided", "food_last": "how long food keeps",
    "how_busy": "how busy a restaurant is", "what_song": "which song is playing", "bill_due": "when a bill is due",
    "direct_deposit": "setting up direct deposit", "redeem_rewards": "using reward points", "change_ai_name": "renaming the assistant",
    "change_user_name": "changing the user's name", "carry_on": "carry-on luggage rules", "credit_limit_change": "raising the credit limit",
}  # fmt: skip
VERBS = frozenset(
    "change report book play tell make find transfer pay freeze redeem schedule confirm cancel reset share sync flip roll accept "
    "update set order improve request repeat jump".split()
)

GENRES = {
    "biomedicine": ("The text is about biology or medicine.", "biomedical research", "a sentence from a scientific article", "Is this from a medical or biological paper?"),
    "encyclopedia": ("The text could stand in an encyclopedia.", "an encyclopedia article", "a passage of general knowledge"),
    "social": ("This was posted on social media.", "a tweet", "an informal message posted online", "a social media post"),
    "programming": ("The text is about programming.", "a question or answer about software development", "about computers and code"),
    "laboratory": ("The text is a step of a laboratory protocol.", "instructions for a lab experiment", "about laboratory work"),
    "security": ("The text is about computer security.", "a report on malware or attacks", "about cyber threats"),
    "assistant": ("Someone talks to an assistant.", "a request to a digital assistant", "a user's message to a service"),
    "products": ("This is the title of a product.", "a product on sale", "an offer in an online shop"),
}  # fmt: skip
GENRE_OF = {
    **dict.fromkeys(("ncbi_disease", "bc2gm", "anatem", "linnaeus", "craft", "bionlp13cg", "bionlp13pc", "bionlp11id"), "biomedicine"),
    **dict.fromkeys(("squadshifts_wiki", "wikigold"), "encyclopedia"),
    **dict.fromkeys(("btc", "tweebank_ner"), "social"),
    **dict.fromkeys(("dstc8_slots", "nlupp_slots", "nlupp_intents", "clinc150"), "assistant"),
    **dict.fromkeys(("ae110k_products", "oamine_products"), "products"),
    "stackoverflow_ner": "programming", "wetlab_protocols": "laboratory", "cyner": "security",
}  # fmt: skip
RELATED_GENRES = frozenset({("biomedicine", "laboratory"), ("programming", "security"), ("encyclopedia", "biomedicine")})


def read_meanings(data: Path) -> Meanings:
    """What each label of each set means, as the data folder says, with what it leaves out."""
    path = data / "label_meanings.json"
    if not path.exists():
        raise CorpusError(f"No label meanings {path}. Expected a JSON of set, label, meaning: check the data folder.")
    found = json.loads(path.read_text(encoding="utf8"))
    return {name: {**found.get(name, {}), **MISSING_MEANINGS.get(name, {})} for name in {*found, *MISSING_MEANINGS}}


def find_meaning(meanings: Meanings, name: str, label: str) -> str:
    """A label's meaning, or its name as words where none is known."""
    return meanings.get(name, {}).get(label) or spell_label(label)


def spell_label(label: str) -> str:
    """`card_payment_fee` and `GetWeather` as words: "card payment fee", "get weather"."""
    words = re.sub(r"(?<=[a-z])(?=[A-Z][a-z])", " ", label.split(":")[-1])
    return re.sub(r"[_\-\s]+", " ", words).strip().lower()


def word_spans(meaning: str, rng: Random) -> str:
    """One of many ways to ask for the spans of a label."""
    if meaning.endswith("?"):
        return _vary(rng.choice((meaning, meaning, _shorten_question(meaning))), rng)
    return _vary(rng.choice(SPAN_TEMPLATES).format(_rename(meaning, rng)), rng)


def word_mention(meaning: str, answer: bool, rng: Random) -> tuple[str, bool]:
    """A statement that spans of a label are there, or are not; and whether it holds."""
    meaning = _shorten_question(meaning) if meaning.endswith("?") else _rename(meaning, rng)
    if rng.random() < 0.15:
        return _vary(rng.choice(NO_MENTION_TEMPLATES).format(meaning), rng), not answer
    return _vary(rng.choice(MENTION_TEMPLATES).format(meaning), rng), answer


def word_label(meanings: Meanings, name: str, label: str, rng: Random) -> str:
    """One of many ways to state that a label holds."""
    if label in STATEMENTS.get(name, {}):
        return _vary(rng.choice(STATEMENTS[name][label]), rng)
    meaning = meanings.get(name, {}).get(label, "")
    if meaning.startswith("is the intent"):
        return _vary(rng.choice(_rephrase_intent(meaning)), rng)
    spelled = INTENTS.get(label.split(":")[-1], spell_label(label))
    wants = spelled.split()[0] in VERBS and rng.random() < 0.7
    return _vary(rng.choice(WANT_TEMPLATES if wants else TOPIC_TEMPLATES).format(spelled), rng)


def word_genre(name: str, rng: Random) -> tuple[str, bool] | None:
    """A statement about the kind of text, and whether it holds; None where a set has no clear kind."""
    own = GENRE_OF.get(name)
    if own is None:
        return None
    others = [genre for genre in GENRES if not RELATED_GENRES & {(own, genre), (genre, own)} and genre != own]
    genre = own if rng.random() < 0.5 else rng.choice(others)
    return _vary(rng.choice(GENRES[genre]), rng), genre == own


def _rename(meaning: str, rng: Random) -> str:
    names = SYNONYMS.get(meaning, ())
    if names and rng.random() < 0.7:
        return rng.choice(names)
    return re.sub(r"\s*\(.*?\)", "", meaning) if rng.random() < 0.5 else meaning


def _shorten_question(question: str) -> str:
    """"What is the start date of some period mentioned in this sentence?" as "the start date of some period"."""
    return re.sub(r"^what is | mentioned in this sentence|\?$", "", question, flags=re.IGNORECASE)


def _rephrase_intent(question: str) -> tuple[str, ...]:
    rest = re.sub(r"^is the intent |\?$", "", question)
    topic = re.sub(r"^(?:to )?(?:asking|ask|talk)?(?: something)?(?: about| related to| for)? ?", "", rest)
    return (question, f"The intent is {rest}.", f"The user's intent is {rest}.", topic)


def _vary(text: str, rng: Random) -> str:
    """Upper or lower case at the start, with or without a full stop."""
    text = text.strip()
    first = text[:1].upper() if rng.random() < 0.6 else text[:1].lower()
    keep_case = text[1:2].isupper()
    text = text if keep_case else first + text[1:]
    if text.endswith("?"):
        return text
    return text.rstrip(".") + ("." if rng.random() < 0.5 else "")
