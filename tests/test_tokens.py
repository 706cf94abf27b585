"""How many tokens is a text?"""

from __future__ import annotations

import importlib.util

import pytest

from orchestr8_index.errors import BadSetting
from orchestr8_index.tokens import EXACT, estimate_tokens, read_tokenizer


def test_tokens_are_estimated_by_script() -> None:
    assert (estimate_tokens(""), estimate_tokens("abcde"), estimate_tokens("数据库")) == (0, 2, 3)


def test_the_usual_tokenizer_estimates_and_says_so() -> None:
    tokens = read_tokenizer("estimate")
    assert tokens("abcde") == 2 and "estimate" in tokens.name


def test_an_exact_one_without_its_package_says_how_to_get_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(BadSetting) as refused:
        read_tokenizer("o200k_base")
    assert "pip install bpe-openai" in str(refused.value)


@pytest.mark.skipif(importlib.util.find_spec("bpe_openai") is None, reason="an optional extra")
@pytest.mark.filterwarnings("ignore:open_binary is deprecated")
@pytest.mark.parametrize("name", EXACT)
def test_an_exact_one_counts_its_vocabulary(name: str) -> None:
    tokens = read_tokenizer(name)
    assert (tokens("hello world"), tokens(""), tokens.name) == (2, 0, name)
