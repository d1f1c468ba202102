"""`python -m spacy falconer`: spaCy loads this module, by its entry point, when its own command line starts."""

from spacy.cli._util import app as spacy_app

from spacy_falconer.cli.app import app

spacy_app.add_typer(app)
