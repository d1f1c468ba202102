from __future__ import annotations

import pytest
import torch

from spacy_falconer.errors import ModelError
from spacy_falconer.metamodel.pretrain.checkpoint import (
    read_average,
    read_checkpoint,
    read_model,
    read_trainer,
    write_checkpoint,
)

SETTINGS = {"hidden_width": 8, "dropout": 0.1, "encoder_dropout": 0.0}


@pytest.fixture
def written(encoder_folder, tmp_path):
    model, tokenizer = read_model(encoder_folder, **SETTINGS)
    folder = tmp_path / "run" / "last"
    write_checkpoint(folder, model, tokenizer, SETTINGS, {"step": 3})
    return model, tokenizer, folder


def test_a_checkpoint_comes_back_as_it_was(written):
    model, _, folder = written
    again, _, settings = read_checkpoint(folder)
    assert settings == SETTINGS
    assert read_trainer(folder) == {"step": 3}
    assert all(torch.equal(value, again.state_dict()[name]) for name, value in model.state_dict().items())
    assert set(torch.load(folder / "heads.pt", weights_only=True)) == {"label", "span"}


def test_no_path_of_this_machine_is_in_a_checkpoint(written, encoder_folder):
    *_, folder = written
    for path in folder.rglob("*"):
        assert path.is_dir() or encoder_folder.encode() not in path.read_bytes(), path


def test_the_encoders_own_dropout_is_saved(written):
    model, _, folder = written
    assert '"hidden_dropout_prob": 0.1' in (folder / "encoder" / "config.json").read_text()
    assert {module.p for module in model.encoder.modules() if isinstance(module, torch.nn.Dropout)} == {0.0}


def test_the_old_checkpoint_is_read_where_the_new_one_is_not_complete(written):
    *_, folder = written
    folder.rename(folder.with_name("last.old"))
    folder.with_name("last.new").mkdir()
    assert read_trainer(folder) == {"step": 3}


def test_a_newer_checkpoint_takes_the_place_of_the_older(written):
    model, tokenizer, folder = written
    write_checkpoint(folder, model, tokenizer, SETTINGS, {"step": 4})
    assert read_trainer(folder) == {"step": 4}
    assert [path.name for path in folder.parent.iterdir()] == ["last"]


def test_a_folder_without_a_checkpoint_is_named(tmp_path):
    with pytest.raises(ModelError, match="No complete checkpoint in .*nowhere.*Give a folder"):
        read_checkpoint(tmp_path / "nowhere")


def test_a_checkpoint_without_trainer_cannot_be_trained_further(written):
    model, tokenizer, folder = written
    write_checkpoint(folder, model, tokenizer, SETTINGS, None)
    with pytest.raises(ModelError, match="cannot be trained further"):
        read_trainer(folder)


def test_the_mean_of_two_checkpoints(written, encoder_folder, tmp_path):
    first, _, folder = written
    torch.manual_seed(1)
    second, tokenizer = read_model(encoder_folder, **SETTINGS)
    write_checkpoint(tmp_path / "other", second, tokenizer, SETTINGS, None)
    mean, *_ = read_average([folder, tmp_path / "other"])
    for name, value in mean.state_dict().items():
        if value.is_floating_point():
            assert torch.allclose(value, (first.state_dict()[name] + second.state_dict()[name]) / 2)
