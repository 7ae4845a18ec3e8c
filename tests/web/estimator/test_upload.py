"""A config.json that a viewer uploads: refused by name, bounded, packed into the address."""

from __future__ import annotations

import base64
import csv
import io
import json
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from thermoflop.base.record import replace
from thermoflop.model.config.catalogue import entry
from thermoflop.web.estimator.address import fits_address, from_query, to_query
from thermoflop.web.estimator.answer import as_csv
from thermoflop.web.estimator.answers import answer
from thermoflop.web.estimator.fields import FieldError
from thermoflop.web.estimator.inputs import DEFAULTS
from thermoflop.web.estimator.upload import (
    LARGEST_BYTES,
    LONGEST_PACKED,
    pack_config,
    plain_name,
    read_packed,
)

SHAPED = replace(DEFAULTS, model="shape")
GPT2 = {"model_type": "gpt2"}


def figure(result, key):
    return next(each for each in result.figures() if each.key == key)


def packed(config, name="config.json"):
    return pack_config(json.dumps(config).encode(), name)


def test_an_uploaded_config_counts_like_the_catalogue_and_travels_in_the_address():
    content = entry("llama-3-8b")["config"]
    inputs = replace(SHAPED, model="upload", config=packed(content, "mine.json"))
    result = answer(inputs)
    assert figure(result, "model.params").value == 8_030_261_248
    assert result.title.startswith("mine on 1 ×")
    assert fits_address(inputs)
    assert from_query(to_query(inputs).items()) == (inputs, [])


def test_a_type_that_nobody_knows_is_refused_with_the_one_that_its_keys_are_of():
    content = {**entry("llama-3-8b")["config"], "model_type": "frobnicator"}
    said = "exactly those of llama .*; a file whose model_type is changed to llama is counted as th"
    with pytest.raises(FieldError, match=said):
        read_packed(packed(content))
    assert read_packed(packed({**content, "model_type": "llama"})).params == 8_030_261_248


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"{", "not valid JSON"),
        (b"[1]", "holds a list"),
        (b"null", "holds null: expected an object with keys"),
        (b"", "not valid JSON"),
        (b"\xff\xfe{}", "not text in UTF-8"),
        (b"{}", "model_type is missing"),
        (b'{"model_type": "nonsense"}', "not known"),
        (b'{"model_type": "gpt2", "n_layer": -1}', "n_layer is -1"),
        (b'{"model_type": "gpt2", "n_lair": 2}', "n_lair"),
        (b'{"a":' * 100_000 + b"1" + b"}" * 100_000, "nested too deeply"),
        (b"[" * 200_000, "nested too deeply"),
        (b'{"model_type": "gpt2", "n_layer": ' + b"9" * 5000 + b"}", "not valid JSON"),
        (b'{"model_type": "gpt2"}' + b" " * LARGEST_BYTES, "more than 1,000,000 bytes"),
    ],
)
def test_an_upload_that_is_no_configuration_is_refused_by_name(content, message):
    with pytest.raises(FieldError, match=message) as caught:
        pack_config(content, "config.json")
    assert caught.value.field == "model"
    assert len(str(caught.value)) < 500


@pytest.mark.parametrize(
    "config",
    [
        {"model_type": "nonsense"}, {"model_type": "gpt2", "n_lair": 2},
        {"model_type": "lamp", "hidden_size": 64, "num_hidden_layers": 2, "vocab_size": 99,
         "num_attention_heads": 4, "intermediate_size": 99},
    ],
)  # fmt: skip
def test_a_refused_upload_names_no_option_and_no_argument(config):
    with pytest.raises(FieldError) as caught:
        pack_config(json.dumps(config).encode(), "config.json")
    said = str(caught.value)
    assert not [each for each in ("--", "ignore=", "family=", "CONTRIBUTING") if each in said], said


def test_an_upload_too_long_for_an_address_is_left_out_and_said():
    labels = {str(n): f"label {n * 7919 % 10007}" for n in range(4000)}
    long = packed({**GPT2, "id2label": labels})
    assert len(long) > LONGEST_PACKED
    inputs = replace(SHAPED, model="upload", config=long)
    assert not fits_address(inputs)
    read, wrong = from_query(to_query(inputs).items())
    assert read.model == "shape"
    assert "upload it again" in wrong[0]


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "%%%",
        base64.urlsafe_b64encode(zlib.compress(b"[1, 2]")).decode(),
        base64.urlsafe_b64encode(zlib.compress(b'["a", {}, 3]')).decode(),
        base64.urlsafe_b64encode(zlib.compress(b" " * 50_000_000)).decode()[:LONGEST_PACKED],
        base64.urlsafe_b64encode(zlib.compress(b"[" * 3000)).decode(),
        "A" * (LONGEST_PACKED + 4),
        "é" * 8,
    ],
)
def test_a_config_in_an_address_that_was_not_packed_here_is_refused(text):
    inputs, wrong = from_query([("mode", "estimate"), ("model", "upload"), ("config", text)])
    assert inputs == SHAPED
    assert len(wrong) == 1
    assert wrong[0].isprintable()


def test_a_packed_bomb_is_not_unpacked():
    bomb = base64.urlsafe_b64encode(zlib.compress(b" " * 100_000_000)).decode()
    with pytest.raises(FieldError, match="not one that this page packed"):
        read_packed(bomb)


@given(st.text(max_size=300))
def test_a_file_name_becomes_short_and_printable_and_loses_its_path(name):
    plain = plain_name(name)
    assert plain
    assert plain.isprintable()
    assert len(plain) <= 60
    assert "/" not in plain
    assert "\\" not in plain


def test_no_cell_of_the_csv_is_a_formula_to_a_spreadsheet():
    inputs = replace(SHAPED, model="upload", prompt=1, config=packed(GPT2, '=HYPERLINK("x").json'))
    rows = list(csv.reader(io.StringIO(as_csv(answer(inputs)))))
    cells = [cell for row in rows for cell in row if cell]
    assert any(cell.startswith("'=HYPERLINK") for cell in cells)
    assert not [cell for cell in cells if cell[0] in "=+@\t\r"]
    assert not [cell for cell in cells if cell[0] == "-" and not cell[1:2].isdigit()]
