"""The words in which labels of data sets are put. All of them are this project's own."""

from __future__ import annotations

# fmt: off
SPAN_TEMPLATES = (
    "{}", "{}", "{}", "All mentions of {}.", "All {}.", "Which {} are mentioned?", "Find {}.", "Extract {}.",
    "Mark all {}.", "{} mentioned in the text", "{} that the text mentions", "Every mention of {}.",
    "What {} does the text mention?", "Passages that name {}.", "List the {}.", "Any {}?", "The {} in this text.",
    "Words that refer to {}.",
)
# Whether a text has a label's spans at all, as a statement.
MENTION_TEMPLATES = (
    "The text mentions {}.", "mentions {}", "Does the text mention {}?", "There is a mention of {}.",
    "Names at least one of: {}.", "{} are mentioned.", "Are there any {}?", "It says something about {}.",
)
NO_MENTION_TEMPLATES = (
    "The text does not mention any {}.", "No {} are mentioned.", "without any {}",
)
TOPIC_TEMPLATES = (
    "The text is about {}.", "This message asks about {}.", "The user's request is about {}.", "{}", "about {}",
    "Is the user asking about {}?", "The topic is {}.", "The speaker talks about {}.", "It concerns {}.",
    "The user needs help with {}.", "The customer asks about {}.", "Intent: {}.", "a request about {}",
)
WANT_TEMPLATES = (
    "The user wants to {}.", "The speaker would like to {}.", "Does the user want to {}?", "a request to {}", "{}",
    "The intent is to {}.", "Someone asks to {}.", "The customer wants to {}.",
)

# Other names of common meanings: one is drawn in place of the meaning.
SYNONYMS = {
    "names of people": (
        "people", "persons", "person names", "individuals", "named persons", "who is mentioned by name",
        "human beings by name",
    ),
    "people": ("persons", "person names", "individuals", "names of people"),
    "mentions of people (named or not)": (
        "people, named or not", "persons, also pronouns", "mentions of human beings", "anyone mentioned",
    ),
    "names of places (cities, countries, regions, rivers...)": (
        "places", "locations", "geographical names", "place names", "countries, cities and other places",
        "location names",
    ),
    "mentions of places": ("places", "locations, named or not", "where things happen", "sites and places"),
    "names of organisations (companies, institutions, teams, parties)": (
        "organisations", "organizations", "companies and institutions", "names of organizations",
        "companies, agencies, clubs and bands", "institutions",
    ),
    "mentions of organisations": ("organisations", "organizations, named or not", "companies and institutions"),
    "other named entities (nationalities, events, works, products, languages)": (
        "other named entities", "miscellaneous names", "names of works, events, products or nationalities",
        "proper names that are no person, place or organisation",
    ),
    "diseases, symptoms and disorders": (
        "diseases", "disorders", "illnesses", "medical conditions", "disease names", "names of diseases",
    ),
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
    "actions the experimenter performs": (
        "actions", "verbs for what is done", "steps that are carried out", "lab actions",
    ),
    "reagents and chemicals": ("reagents", "chemicals used", "substances", "solutions and chemicals"),
    "containers / locations": ("containers", "where samples are kept", "tubes, plates and other containers"),
    "durations and times": ("durations", "how long each step takes", "times"),
    "devices and tools": ("devices", "equipment", "lab tools", "instruments"),
    "amounts": ("quantities", "volumes and weights", "how much is used"),
    "temperatures": ("temperature values", "how warm or cold"),
    "counts and measurements with unit": (
        "quantities", "measurements", "numbers with their units", "measured values",
    ),
    "the thing that is measured": ("measured entities", "what is measured", "things with a measured property"),
    "the property that is measured": ("measured properties", "which property is measured"),
    "malware names": ("malware", "names of viruses and trojans", "malicious software"),
    "software, systems and platforms": ("systems", "software", "platforms and systems"),
    "indicators of compromise (hashes, domains, files, IPs)": (
        "indicators of compromise", "hashes, domains, file names and IP addresses",
    ),
    "organisations and threat actors": ("organisations", "companies and hacker groups"),
    "vulnerabilities (CVE...)": ("vulnerabilities", "security holes"),
    "protein complexes": ("complexes of proteins",),
    "sequence features": ("features of DNA or RNA sequences",),
}

# Meanings that the data folder leaves out.
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

# Labels that no template fits, by set.
STATEMENTS = {
    "vader_snippets": {
        "positive": (
            "The text expresses a positive opinion.", "The writer is satisfied.", "The writer likes it.",
            "positive sentiment", "Is the tone positive?", "The author speaks well of something.", "This is praise.",
            "The writer is pleased.", "a favourable opinion", "good news or a good opinion",
            "The feeling is mostly positive.", "The reviewer is happy with it.",
        ),
        "negative": (
            "The text expresses a negative opinion.", "The writer is dissatisfied.", "The writer dislikes it.",
            "negative sentiment", "Is the tone negative?", "The author speaks badly of something.",
            "This is a complaint or a criticism.", "The writer is unhappy.", "an unfavourable opinion",
            "The feeling is mostly negative.", "The reviewer is disappointed.",
        ),
        "neutral": (
            "The text is neutral.", "No opinion is expressed.", "neutral sentiment",
            "The tone is factual, without praise or blame.", "neither positive nor negative",
        ),
        "genre:film_review": (
            "The text is from a film review.", "a movie review", "It is about a film.", "Is this about a movie?",
        ),
        "genre:amazon_review": (
            "The text is from a product review.", "a customer's review of a product", "It is about a product.",
        ),
        "genre:news_editorial": (
            "The text is from a newspaper editorial.", "news commentary", "It is about politics or the news.",
        ),
        "genre:tweet": ("This is a tweet.", "a short message on social media", "The text was posted on Twitter."),
    },
}

# What a user with this intent wants, if the intent's name does not say it.
INTENTS = {
    "oos": "something else than the assistant offers",
    "pto_request": "request time off",
    "pto_balance": "remaining days off",
    "pto_used": "days off that were taken",
    "pto_request_status": "whether the time off was approved",
    "mpg": "fuel economy",
    "apr": "the yearly interest rate of a card",
    "w2": "the W-2 tax form",
    "todo_list": "what is on the to-do list",
    "rollover_401k": "a 401k retirement account",
    "uber": "getting an Uber or a taxi",
    "text": "sending a text message",
    "order": "ordering something",
    "routing": "the routing number of a bank",
    "gas": "how much fuel is left",
    "insurance": "insurance",
    "meta": "the assistant itself and its settings",
    "utility": "everyday tools such as timers, weather and conversions",
    "yes": "saying yes",
    "no": "saying no",
    "maybe": "being undecided",
    "food_last": "how long food keeps",
    "how_busy": "how busy a restaurant is",
    "what_song": "which song is playing",
    "bill_due": "when a bill is due",
    "direct_deposit": "setting up direct deposit",
    "redeem_rewards": "using reward points",
    "change_ai_name": "renaming the assistant",
    "change_user_name": "changing the user's name",
    "carry_on": "carry-on luggage rules",
    "credit_limit_change": "raising the credit limit",
}
# Intents that begin with one of these verbs are something that a user wants to do.
VERBS = frozenset((
    "accept", "book", "cancel", "change", "confirm", "find", "flip", "freeze", "improve", "jump", "make", "order",
    "pay", "play", "redeem", "repeat", "report", "request", "reset", "roll", "schedule", "set", "share", "sync",
    "tell", "transfer", "update",
))

# Kinds of text, as statements, and the sets of each kind.
GENRES = {
    "biomedicine": (
        "The text is about biology or medicine.", "biomedical research", "a sentence from a scientific article",
        "Is this from a medical or biological paper?",
    ),
    "encyclopedia": (
        "The text could stand in an encyclopedia.", "an encyclopedia article", "a passage of general knowledge",
    ),
    "social": (
        "This was posted on social media.", "a tweet", "an informal message posted online", "a social media post",
    ),
    "programming": (
        "The text is about programming.", "a question or answer about software development",
        "about computers and code",
    ),
    "laboratory": (
        "The text is a step of a laboratory protocol.", "instructions for a lab experiment", "about laboratory work",
    ),
    "security": ("The text is about computer security.", "a report on malware or attacks", "about cyber threats"),
    "assistant": (
        "Someone talks to an assistant.", "a request to a digital assistant", "a user's message to a service",
    ),
    "products": ("This is the title of a product.", "a product on sale", "an offer in an online shop"),
}
SETS_OF_GENRE = {
    "biomedicine": ("ncbi_disease", "bc2gm", "anatem", "linnaeus", "craft", "bionlp13cg", "bionlp13pc", "bionlp11id"),
    "encyclopedia": ("squadshifts_wiki", "wikigold"),
    "social": ("btc", "tweebank_ner"),
    "assistant": ("dstc8_slots", "nlupp_slots", "nlupp_intents", "clinc150"),
    "products": ("ae110k_products", "oamine_products"),
    "programming": ("stackoverflow_ner",),
    "laboratory": ("wetlab_protocols",),
    "security": ("cyner",),
}
GENRE_OF = {name: genre for genre, names in SETS_OF_GENRE.items() for name in names}
# Pairs of kinds that one text may belong to.
RELATED_GENRES = frozenset({
    ("biomedicine", "laboratory"), ("programming", "security"), ("encyclopedia", "biomedicine"),
})
# fmt: on
