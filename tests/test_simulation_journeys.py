from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from clickstream.errors import ConfigError
from clickstream.simulation import journeys

Change = Callable[[dict[str, Any]], None]


def changed(change: Change) -> bytes:
    model: dict[str, Any] = json.loads(journeys.DEFAULT_FILE.read_bytes())
    change(model)
    return json.dumps(model).encode()


def row(model: dict[str, Any], persona: str, state: str, **shares: float) -> None:
    model["personas"][persona]["transitions"][state] = shares


def test_the_default_model_is_sound() -> None:
    model = journeys.load()

    assert model.mix("default") == {"Browser": 0.6, "Researcher": 0.2, "Buyer": 0.15, "Quick Buyer": 0.05}
    assert model.mix("realistic") == {"Browser": 0.87, "Researcher": 0.1, "Buyer": 0.022, "Quick Buyer": 0.008}


WRONG: dict[str, tuple[Change, str]] = {
    "a row that does not add up": (
        lambda m: row(m, "Buyer", "add", cart=0.5, product=0.4),
        'Buyer: state "add": the shares add up to 0.9; expected 1',
    ),
    "an unknown state": (
        lambda m: row(m, "Buyer", "add", basket=0.5, product=0.5),
        'Buyer: state "add": "basket" does not exist',
    ),
    "a negative share": (
        lambda m: row(m, "Buyer", "add", cart=-0.5, product=1.5),
        'Buyer: state "add": "cart": -0.5 is not a share from 0 to 1',
    ),
    "a state that nothing leads to": (
        lambda m: row(m, "Browser", "home", end=1.0) or row(m, "Browser", "remove", end=1.0),  # type: ignore[func-returns-value]
        'Browser: state "remove": no way leads to it',
    ),
    "a state without a way out": (
        lambda m: m["personas"]["Buyer"]["transitions"].pop("purchase"),
        'Buyer: state "purchase": no transitions lead out of it',
    ),
    "a walk without end": (
        lambda m: row(m, "Researcher", "purchase", purchase=1.0),
        'Researcher: state "purchase": no way leads from it to the end',
    ),
    "a Browser that carts": (
        lambda m: row(m, "Browser", "product", add=0.5, end=0.5) or row(m, "Browser", "add", end=1.0),  # type: ignore[func-returns-value]
        'Browser: state "add": sends add_to_cart, which this persona never does',
    ),
    "carting before looking": (
        lambda m: m["personas"]["Quick Buyer"].update(start={"add": 0.5, "enter_product": 0.25, "search": 0.25}),
        'Quick Buyer: state "add": can be entered before any product page was viewed',
    ),
    "checking out an empty cart": (
        lambda m: row(m, "Buyer", "remove", checkout=0.5, category=0.5),
        'Buyer: state "checkout": can be entered with an empty cart',
    ),
    "buying without checkout": (
        lambda m: row(m, "Quick Buyer", "add", purchase=0.5, cart=0.3, checkout=0.2),
        'Quick Buyer: state "purchase": can be entered without a checkout of this cart',
    ),
    "buying the same cart twice": (
        lambda m: row(m, "Quick Buyer", "purchase", purchase=0.5, end=0.5),
        'Quick Buyer: state "purchase": can be entered with an empty cart',
    ),
    "a dwell that does not vary": (
        lambda m: m["personas"]["Buyer"]["dwell"].update(default=[3.5, 0]),
        'Buyer: dwell: "default": sigma 0.0 is not above 0',
    ),
    "a mix of strangers": (
        lambda m: m["presets"].update(default={"Nobody": 1.0}),
        'preset "default": "Nobody" does not exist',
    ),
    "a short day": (lambda m: m.update(day_curve=[1.0] * 23), "day_curve: expected 24 weights"),
    "a page that the shop does not have": (
        lambda m: m["states"]["home"].update(page="attic"),
        'state "home": page "attic": expected one of home, category',
    ),
    "an event name that the API refuses": (
        lambda m: m["states"]["home"].update(event="Page View"),
        'state "home": event "Page View": expected 1 to 64 characters',
    ),
    "a misspelt key": (lambda m: m.update(persona={}), "Object contains unknown field `persona`"),
}


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_model_is_refused_with_persona_and_state(name: str) -> None:
    change, message = WRONG[name]

    with pytest.raises(ConfigError) as refused:
        journeys.parse(changed(change), "mine.json")

    assert message in str(refused.value)
    assert "mine.json" in str(refused.value)


def test_every_problem_is_told_at_once() -> None:
    def change(model: dict[str, Any]) -> None:
        row(model, "Buyer", "add", cart=0.5)
        row(model, "Browser", "home", end=0.5)

    with pytest.raises(ConfigError, match="2 problems"):
        journeys.parse(changed(change), "mine.json")


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"nowhere\.json: No such file"):
        journeys.load(tmp_path / "nowhere.json")


def test_a_model_of_ones_own_is_accepted() -> None:
    def change(model: dict[str, Any]) -> None:
        model["states"]["subscribe"] = {"event": "newsletter_signup"}
        model["personas"]["Browser"]["transitions"]["home"] = {"subscribe": 0.5, "end": 0.5}
        model["personas"]["Browser"]["transitions"]["subscribe"] = {"end": 1.0}

    assert "subscribe" in journeys.parse(changed(change), "mine.json").states
