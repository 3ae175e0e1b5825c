"""The data set that ships with the package: balanced, clean, and with no text on both sides of a split."""

from __future__ import annotations

import itertools
import json
import re
import unicodedata
from collections import Counter
from importlib.resources import files
from typing import NamedTuple

import pytest

SPLITS = ("train", "validation", "test")
LANGUAGES = ("en", "zh")
INTENTS = (
    "account_access",
    "cancel_subscription",
    "change_address",
    "invoice_request",
    "order_status",
    "payment_problem",
    "product_question",
    "return_refund",
    "speak_to_human",
    "technical_fault",
)
NEAR = 0.5
FOLDER = files("heedful.data") / "helpdesk"


class Message(NamedTuple):
    text: str
    intent: str
    language: str
    split: str


def load(split: str) -> list[dict[str, str]]:
    lines = (FOLDER / f"{split}.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


MESSAGES = [Message(row["text"], row["label"], row["language"], split) for split in SPLITS for row in load(split)]


def normalise(text: str) -> str:
    """Lower case, letters and digits only: what is left when case, spacing and punctuation do not count."""
    return re.sub(r"[\W_]+", "", text.lower())


def trigrams(text: str) -> frozenset[str]:
    """Character 3-grams of the normalised text; a text shorter than that is its own single gram."""
    plain = normalise(text)
    return frozenset(plain[start : start + 3] for start in range(max(1, len(plain) - 2)))


def jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    return len(left & right) / len(left | right)


@pytest.mark.parametrize("split", SPLITS)
def test_every_row_is_a_text_its_label_and_its_language(split: str) -> None:
    for row in load(split):
        assert set(row) == {"text", "label", "language"}
        assert row["text"] == row["text"].strip() != ""
        assert row["label"] in INTENTS
        assert row["language"] in LANGUAGES


def test_it_is_large_enough_in_both_languages() -> None:
    languages = Counter(message.language for message in MESSAGES)
    splits = Counter(message.split for message in MESSAGES)
    assert languages["en"] >= 1000
    assert languages["zh"] >= 260
    assert splits["test"] >= 400
    assert splits["validation"] >= 200


@pytest.mark.parametrize(("split", "language"), list(itertools.product(SPLITS, LANGUAGES)))
def test_intents_are_balanced_in_every_split_and_language(split: str, language: str) -> None:
    intents = Counter(m.intent for m in MESSAGES if (m.split, m.language) == (split, language))
    assert set(intents) == set(INTENTS)
    assert max(intents.values()) <= 1.25 * min(intents.values())


def test_no_text_appears_twice() -> None:
    repeated = [text for text, count in Counter(normalise(m.text) for m in MESSAGES).items() if count > 1]
    assert repeated == []


def test_near_duplicates_do_not_cross_splits() -> None:
    grams = [trigrams(message.text) for message in MESSAGES]
    # Jaccard <= smaller size / larger size, so a pair further apart than that needs no intersection.
    near = [
        (MESSAGES[i].text, MESSAGES[j].text)
        for i, j in itertools.combinations(range(len(MESSAGES)), 2)
        if MESSAGES[i].split != MESSAGES[j].split
        and NEAR * max(len(grams[i]), len(grams[j])) <= min(len(grams[i]), len(grams[j]))
        and jaccard(grams[i], grams[j]) >= NEAR
    ]
    assert near == []


def test_the_near_duplicate_measure_sees_a_reworded_copy() -> None:
    copy = jaccard(trigrams("Please cancel my monthly subscription."), trigrams("cancel my monthly subscription!!"))
    other = jaccard(trigrams("Please cancel my monthly subscription."), trigrams("Where is my parcel?"))
    assert copy >= NEAR > other


def test_chinese_messages_hold_chinese_and_english_ones_do_not() -> None:
    for message in MESSAGES:
        assert (re.search(r"[一-鿿]", message.text) is not None) == (message.language == "zh"), message


def test_texts_are_plain_and_name_no_real_place_on_the_internet() -> None:
    for message in MESSAGES:
        assert not [c for c in message.text if unicodedata.category(c).startswith("C")], message
        assert unicodedata.is_normalized("NFC", message.text), message
        assert not re.search(r"https?:|www\.", message.text), message
        assert all(domain == "example.com" for domain in re.findall(r"@([\w.-]*\w)", message.text)), message


def test_the_data_card_states_the_true_counts() -> None:
    card = (FOLDER / "README.md").read_text(encoding="utf-8")
    for intent in INTENTS:
        counts = Counter((m.split, m.language) for m in MESSAGES if m.intent == intent)
        cells = [str(counts[key]) for key in itertools.product(SPLITS, LANGUAGES)]
        assert f"| `{intent}` | {' | '.join(cells)} | {counts.total()} |" in card
