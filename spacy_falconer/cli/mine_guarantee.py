"""The part of the `mine` command for guarantees."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from spacy_falconer.cli import options
from spacy_falconer.cli.screen import batch_lines, msg, progress, say, show_bill
from spacy_falconer.errors import FalconerError
from spacy_falconer.workflow.endpoint import Endpoint

Guarantee = Annotated[
    str | None,
    typer.Option(
        "--guarantee",
        metavar="WORDS",
        help="What the rows must reach against the language model, such as 'recall=0.95, delta=0.05' (also precision, "
        "accuracy, label_budget, on); it is asked about the texts that the pipeline is not sure about",
    ),
]
Store = Annotated[
    Path | None, typer.Option("--store", help="With --guarantee: file that keeps answers; created if it does not exist")
]


def warn_of_ignored(words: str | None, endpoint: dict[str, Any], *, n_process: int) -> None:
    """Warn of options that have no effect: how to ask, if no one is asked; several processes, if one has to read."""
    said = [name for name, value in endpoint.items() if value not in (None, False, getattr(Endpoint, name, None))]
    if words is None and said:
        msg.warn("No language model is asked without --guarantee: the options for one are ignored.")
    if words is not None and n_process > 1:
        msg.warn("With --guarantee, one process reads the corpus: --n-process is ignored.")


def keep_promise(words: str | None, *args: Any, store: Path | None, **settings: Any) -> Any:
    """Ask for the answers that a guarantee needs. RETURNS (Guaranteed | None): None if none is wanted.

    RAISES (FalconerError): A guarantee without a store, or a store without a guarantee.
    """
    if words is not None and store is not None:
        return ask_for(words, *args, store=store, **settings)
    if words is None and store is None:
        return None
    if store is None:
        raise FalconerError(
            "--guarantee asks a language model, and needs a store that keeps the answers: add --store FILE."
        )
    raise FalconerError(
        f"--store {str(store)!r} is for the answers that --guarantee asks for, and there is no guarantee. Add one, or leave "
        "--store out."
    )


def ask_for(
    words: str,
    nlp: Any,
    records: Any,
    output: Path,
    *,
    store: Path,
    quiet: bool,
    endpoint: dict[str, Any],
    precision: str,
    fresh: bool,
    since: Path | None,
    batch_size: int,
) -> Any:
    """Show what it will take, ask, and show what is certain. RETURNS (Guaranteed): What is certain, and the answers.

    endpoint: Settings of the endpoint, "redact" and "annotator", as in `options`.
    precision, fresh, since, batch_size: As in `mine`.
    """
    from spacy_falconer.llm.store import AnswerStore
    from spacy_falconer.workflow.ask import Asker
    from spacy_falconer.workflow.guarantee.promise import parse_promise
    from spacy_falconer.workflow.guarantee.run import guarantee
    from spacy_falconer.workflow.guarantee.show import format_forecast, format_guaranteed
    from spacy_falconer.workflow.mining.manifest import open_seen
    from spacy_falconer.workflow.mining.parts import Paths
    from spacy_falconer.workflow.mining.precision import settle_precision
    from spacy_falconer.workflow.own.annotator import take_place

    promise, paths = parse_promise(words), Paths(output)
    settings = dict(endpoint)
    redact, annotator = options.find_redactor(settings.pop("redact")), options.find_annotator(settings.pop("annotator"))
    asked = options.make_endpoint(settings.pop("model"), **settings)
    own = take_place(annotator, asked, redact=redact, n_shots=0)
    settled = settle_precision(nlp, precision, paths, fresh=fresh)
    with (
        AnswerStore(store) as opened,
        show_bill(asked.ledger, quiet=quiet),
        progress("Reading", None, quiet=quiet) as tick,
    ):
        found = guarantee(
            nlp, records, promise,
            lambda plan: Asker(plan, opened, asked, redact, watch=batch_lines(quiet=quiet), annotator=own),
            batch_size=batch_size, precision=settled, memory=paths.beside("guarantee.json"), tick=tick,
            seen=open_seen(since, paths),
            show=lambda *forecast: None if quiet else say(format_forecast(promise, *forecast)),
        )  # fmt: skip
    title, *lines = format_guaranteed(found).splitlines()
    msg.good(title)
    say("\n".join(lines))
    return found
