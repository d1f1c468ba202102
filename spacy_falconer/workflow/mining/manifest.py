"""What a mining run depends on. A run is continued only if all of it is the same, and the manifest records it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from spacy.language import Language

from spacy_falconer import __version__
from spacy_falconer.corpus.files import list_files
from spacy_falconer.errors import CorpusError
from spacy_falconer.plan import Plan
from spacy_falconer.workflow.files import digest_file
from spacy_falconer.workflow.mining.parts import Paths, durable
from spacy_falconer.workflow.mining.state import Seen

Json = dict[str, Any]
NAMES = {"version": "version of spacy-falconer", "pipeline": "pipeline", "plan": "plan", "options": "option"}


def describe_run(
    nlp: Language, plan: Plan, *, corpus: Path | None, options: Mapping[str, Any], since: Path | None
) -> Json:
    """Return all that the rows depend on. Two runs for which it is the same give the same rows.

    corpus (Path): None if the records do not come from files; they are then compared as they are read.
    """
    return {
        "version": __version__,
        "pipeline": digest_pipeline(nlp),
        "plan": plan.model_dump(mode="json"),
        "options": {**options, "since": digest_file(since)},
        "input": None if corpus is None else [describe_file(file.path) for file in list_files(corpus)],
    }


def describe_file(path: Path) -> Json:
    status = path.stat()
    return {"file": str(path), "size": status.st_size, "mtime_ns": status.st_mtime_ns}


def digest_pipeline(nlp: Language) -> str:
    """Return a digest of all that decides a pipeline's answers: its config, settings and weights."""
    total = hashlib.sha256(nlp.config.to_str().encode("utf8"))
    for name, pipe in nlp.pipeline:
        total.update(json.dumps([name, getattr(pipe, "cfg", None)], default=str).encode("utf8"))
        if hasattr(pipe, "model"):
            for weights in iterate_weights(pipe.model):
                total.update(weights)
        elif hasattr(pipe, "to_bytes"):
            total.update(pipe.to_bytes())
    return total.hexdigest()


def iterate_weights(model: Any) -> Iterable[bytes | memoryview]:
    """Yield the parameters of a thinc model and of the torch modules in it, each after its name."""
    for node in model.walk():
        for name in sorted(node.param_names):
            if node.has_param(name):
                yield from (name.encode("utf8"), node.ops.to_numpy(node.get_param(name)).tobytes())
        for module in (getattr(shim, "_model", None) for shim in node.shims):
            if isinstance(module, torch.nn.Module):
                for name, tensor in module.state_dict().items():
                    values = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy()
                    yield from (name.encode("utf8"), values.data)


def check_same(begun: Json, head: Json, paths: Paths) -> None:
    """Check that an unfinished run was begun with the same.

    RAISES (CorpusError): It was not. The message names what has changed.
    """
    if changed := list_changes(begun, head):
        raise CorpusError(
            f"An unfinished run in {str(paths.work)!r} was begun with another {', another '.join(changed)}. Rows of both "
            "are not mixed. Go back to what it was begun with, or mine from the beginning with --fresh."
        )


def list_changes(begun: Json, head: Json) -> list[str]:
    """Return what differs, in words."""
    changed = [words for name, words in NAMES.items() if name != "options" and begun.get(name) != head[name]]
    options = {**begun.get("options", {}), **head["options"]}
    other = [name for name in options if begun.get("options", {}).get(name) != head["options"].get(name)]
    changed += [f"option {name}" for name in other]
    if begun.get("input") != head["input"]:
        changed.append(f"input ({describe_inputs(begun.get('input'), head['input'])})")
    return changed


def describe_inputs(begun: Sequence[Json] | None, now: Sequence[Json] | None) -> str:
    """Return which file is the first that has changed, and how."""
    before, after = ({one["file"]: one for one in files or ()} for files in (begun, now))
    for name in sorted({**before, **after}):
        if name not in after:
            return f"{name} is gone"
        if before.get(name) != after[name]:
            return f"{name} has changed" if name in before else f"{name} is new"
    return "files were a corpus before, or are now"


def write_manifest(paths: Paths, head: Json, parts: Sequence[Json], totals: Json) -> None:
    """Write the manifest. It comes last: where there is one, the rows are complete."""
    files = {
        "rows": paths.output.name,
        "rejects": paths.beside("rejects.jsonl").name,
        "seen": paths.beside("seen.db").name,
    }
    with durable(paths.beside("manifest.json")) as part:
        part.write_text(
            json.dumps({"files": files, **head, "totals": totals, "parts": parts}, indent=1), encoding="utf8"
        )


def read_manifest(path: Path) -> Json | None:
    """Return the manifest; None if there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf8"))
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and isinstance(found.get("files"), dict) and "parts" in found else None


def read_own_manifest(output: Path) -> Json | None:
    """Return the manifest of these rows; None if there is none, or if it is that of rows of another kind beside them."""
    found = read_manifest(Paths(output).beside("manifest.json"))
    return found if found and Path(found["files"].get("rows", output)).suffix == output.suffix else None


def find_finished(paths: Paths, head: Json) -> Json | None:
    """Return the manifest of a finished run that was begun with the same, so that there is nothing to do.

    That cannot be known of records that do not come from files: None then, too.
    """
    found = read_manifest(paths.beside("manifest.json"))
    if found is None or head["input"] is None or not paths.output.exists() or list_changes(found, head):
        return None
    return found


def open_seen(since: Path | None, paths: Paths) -> Seen | None:
    """Open the records that an earlier run has read; None if no run is named.

    since (Path): That run's manifest.
    RAISES (CorpusError): It is not a manifest, is this output's own, or the file that it names is gone.
    """
    if since is None:
        return None
    if since.resolve() == paths.beside("manifest.json").resolve():
        raise CorpusError(
            f"{str(since)!r} is the manifest of {str(paths.output)!r} itself, whose rows would be replaced by only the new "
            "ones. Name another output for the new rows."
        )
    found = read_manifest(since)
    seen = since.with_name(str(found["files"]["seen"])) if found else None
    if seen is None or not seen.exists():
        missing = "not the manifest of a finished run" if seen is None else f"not beside its file {seen.name!r}"
        raise CorpusError(
            f"{str(since)!r} is {missing}. Expected the .manifest.json that mining wrote, with the .seen.db beside it. "
            "Name it, or mine everything, without --since."
        )
    return Seen(seen)
