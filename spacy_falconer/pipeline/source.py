"""Find and load pipelines, and add the metamodel to a user's own components."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import spacy
from spacy.language import Language
from spacy.util import is_package, load_config

from spacy_falconer.errors import FalconerError, ModelError
from spacy_falconer.pipeline.components import FACTORIES, find_components, find_instructed, set_spans_key
from spacy_falconer.pipeline.instructed import LISTENER
from spacy_falconer.pipeline.plan import FalconerPlan

OWN_ENCODER = "falconer_transformer"
BASE = "en_falconer_sm"
INSIDE = ("pipeline", "model-best")  # Where a pipeline is in the folders that induce and spacy train write.


def load_pipeline(path: Path | str, **options: Any) -> Language:
    """Load a pipeline from its folder, or an installed one by its name.

    options: As in `spacy.load`.
    RAISES (ModelError): There is none, or it cannot be loaded.
    """
    is_installed = not Path(path).exists() and is_package(str(path))
    with plain_loading(Path(path)):
        return spacy.load(str(path) if is_installed else Path(path), **options)


@contextmanager
def plain_loading(path: Path) -> Iterator[None]:
    """RAISES (ModelError): There is no pipeline at the path, or it cannot be loaded here. A nearby one is named."""
    try:
        yield
    except FalconerError:
        raise
    except (OSError, ValueError) as error:
        near = next((path / name for name in INSIDE if (path / name / "config.cfg").exists()), None)
        remedy = f"It holds one: name {str(near)!r}" if near else "Check the path, and that what it needs is installed"
        raise ModelError(
            f"No pipeline can be loaded from {str(path)!r} ({' '.join(str(error).split())[:300]}). Expected a folder that "
            f"`falconer train` wrote, or the name of an installed pipeline. {remedy}."
        ) from error


def find_base() -> Path:
    """Return the pre-trained pipeline that tasks start from: the installed package, else the one in a checkout.

    RAISES (ModelError): There is neither.
    """
    beside = Path(__file__).parents[2] / "assets" / BASE
    found = find_installed(BASE) or (beside if (beside / "config.cfg").exists() else None)
    if found is not None:
        return found
    raise ModelError(
        f"The pre-trained pipeline {BASE!r} is not installed. Install its wheel, name another "
        "pipeline by --source, or train an encoder of your own by --config configs/cpu.cfg."
    )


def find_installed(name: str) -> Path | None:
    """Return the folder of a pipeline that is installed as a package; None if there is none of that name."""
    spec = importlib.util.find_spec(name) if name.isidentifier() else None
    folders = sorted(Path(spec.origin).parent.glob(f"{name}-*")) if spec and spec.origin else []
    return next((folder for folder in folders if (folder / "config.cfg").exists()), None)


def choose_source(source: Path | None, config: Path | None) -> Path | None:
    """Return the pipeline to start from: the named one; none if there is a config, which has its own encoder; else the base."""
    return source if source is not None or config is not None else find_base()


def find_parts(source: Path) -> list[str]:
    """Return the names of a saved pipeline's encoder and falconer components, in its order.

    RAISES (ModelError): It is not a pipeline, or has no transformer or no component of ours.
    """
    with plain_loading(source):
        config = load_config(source / "config.cfg")
    names = config.get("nlp", {}).get("pipeline", ())
    factories = {name: config["components"][name].get("factory") for name in names}
    ours = [name for name, factory in factories.items() if factory in FACTORIES.values()]
    encoders = {config["components"][name]["model"]["tok2vec"].get("upstream") for name in ours}
    parts = [name for name in factories if name in encoders or name in ours]
    if not ours or len(parts) != len(ours) + 1:
        raise ModelError(
            f"The pipeline {str(source)!r} ({', '.join(factories) or 'empty'}) has no falconer component with its "
            "transformer to start from. Give one that `falconer train` wrote, or the pre-trained one."
        )
    return parts


def add_falconer(nlp: Language, source: Language, *, spans_key: str | None = None) -> None:
    """Add a falconer pipeline's transformer and components to the end of another pipeline.

    They are shared with the source, as always when spaCy sources components; only the plan's component is new. If the
    user has a transformer of the same name, ours is called `falconer_transformer`, and our components listen to it alone.

    spans_key (str): Where `falconer_span` writes from now on; by default where it did before, "sc" unless set otherwise.
    RAISES (ModelError): `source` has no falconer component with a transformer to listen to, or `nlp` has components of
        those names, or one that writes to the same spans. `nlp` is then left as it was.
    """
    encoder = _find_encoder(source)
    own_name = OWN_ENCODER if encoder in nlp.component_names else encoder
    pipes = [*find_instructed(source), *find_components(source, "falconer_plan")]
    _check_free(nlp, [own_name, *(pipe.name for pipe in pipes)])
    _check_spans(nlp, pipes, spans_key)
    nlp.add_pipe(encoder, name=own_name, source=source)
    for pipe in pipes:
        if isinstance(pipe, FalconerPlan):
            nlp.add_pipe("falconer_plan", name=pipe.name, config={"keep_trf_data": pipe.keep_trf_data}).plan = pipe.plan
            continue
        nlp.add_pipe(pipe.name, source=source)
        _listen_to(nlp, pipe.name, own_name)
        if spans_key is not None and pipe.op == "get_span":
            set_spans_key(nlp, pipe.name, spans_key)
    nlp._link_components()


def _check_free(nlp: Language, names: Sequence[str]) -> None:
    if taken := [name for name in names if name in nlp.component_names]:
        raise ModelError(
            f"The pipeline ({', '.join(nlp.component_names)}) has {taken[0]!r} already. Remove it by "
            f"nlp.remove_pipe({taken[0]!r}), or add ours to a pipeline without it."
        )


def _check_spans(nlp: Language, pipes: Sequence[Any], wanted: str | None) -> None:
    """RAISES (ModelError): A component of the pipeline writes to the same spans as ours would."""
    for key in [wanted or pipe.cfg["spans_key"] for pipe in pipes if "spans_key" in getattr(pipe, "cfg", {})]:
        for name in nlp.component_names:
            if key == nlp.get_pipe_config(name).get("spans_key"):
                raise ModelError(
                    f"{name!r} writes to doc.spans[{key!r}], and so would ours. Give ours a key of its own: "
                    "add_falconer(nlp, source, spans_key='falconer')."
                )


def _find_encoder(source: Language) -> str:
    names = [pipe.name for pipe in find_instructed(source)]
    for encoder, proc in source.components:
        if set(names) & set(getattr(proc, "listening_components", ())):
            return encoder
    raise ModelError(
        f"The source pipeline ({', '.join(source.component_names) or 'empty'}) has no falconer component that listens "
        "to a transformer in it. Load one that `falconer train` wrote, and do not rename its transformer."
    )


def _listen_to(nlp: Language, name: str, encoder: str) -> None:
    """Point a component's listener to one transformer, in the model and in the config."""
    for node in nlp.get_pipe(name).model.walk():
        if node.name == LISTENER:
            node.upstream_name = encoder
            nlp.get_pipe_config(name)["model"]["tok2vec"]["upstream"] = encoder
