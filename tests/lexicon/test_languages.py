"""What does a question in another language say in English?"""

from __future__ import annotations

import pytest

from orchestr8_index.lexicon.languages import FILE, languages
from orchestr8_index.text import Terms, fold, raw_words, simplified


def english(text: str) -> list[str | None]:
    raws = raw_words(text)
    return [each.english for each in languages().read(raws, [fold(raw) for raw in raws])]


def is_foreign(text: str) -> bool:
    said = [(raw, fold(raw)) for raw in raw_words(text)]
    return languages().is_foreign(said, Terms().stem, lambda stem: stem == "deploiment")


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("die langsame Datenbankabfrage", ["", "slow", "database query"]),
        ("la base de datos está lenta", ["", "database", "", "slow"]),
        ("le serveur plante", ["", "server", "crash"]),
        ("o servidor está lento", ["", "server", "", "slow"]),
        ("il server è lento", ["", "server", "", "slow"]),
        ("de trage databank", ["", "slow", "database"]),
        ("baza danych jest wolna", ["database", "", None]),
        ("база данных тормозит", ["database", "slow"]),
        ("数据库很慢", ["database slow"]),
        ("資料庫很慢", ["database slow"]),
        ("データベースが遅い", ["database slow"]),
        ("데이터베이스가 느려요", ["database", "slow"]),
        ("LLMの出力", [None, "output"]),
        ("die Tests schlagen auf CI fehl", ["", "test", "fails failure", "", None, ""]),
        ("räum das auf und teste", ["clean", "", "", "", "test"]),
        ("fehlgeschlagene Tests", ["fails failure", "test"]),
        ("une fuite de mots de passe", ["", "leaked security", "", "password authentication"]),
        ("политику конфиденциальности", ["privacy policy legal"]),
        ("mysz łączy", [None, None]),
        ("Pod 再起動", [None, "restarting restart"]),
        ("サーバー代", ["server cost cloud"]),
        ("数据库的鲸鱼", ["database 鲸鱼"]),
    ],
)
def test_each_language_is_read_word_by_word(text: str, wanted: list[str | None]) -> None:
    assert english(text) == wanted


@pytest.mark.parametrize(
    "text",
    [
        "die Seite lädt nicht",
        "pourquoi le site est lent",
        "la page met dix secondes à charger",
        "サイトが遅い",
        "сайт не работает",
        "melhorar posição no google",
        "polityka prywatności",
        "bluetooth bricht ab",
        "serveur en panne",
    ],
)
def test_another_language_is_recognised(text: str) -> None:
    assert is_foreign(text)


@pytest.mark.parametrize(
    "text",
    [
        "workers die on startup",
        "use the Datenbank class",
        "kubectl apply hangs",
        "fix El Niño chart",
        "who wins with 8♥ and J♥ against Q♥",
        "distance from 33.44 N, 112.07 W to 34.05 N",
        "kubernetes deploiment",
        "a deploiment",
        "a résumé review",
        "write about the café",
        "upgrade the la crosse weather station driver",
    ],
)
def test_english_is_not_taken_for_another_language(text: str) -> None:
    assert not is_foreign(text)


def test_a_name_is_not_taken_apart() -> None:
    read = languages().read(["discord"], ["discord"], {"discord"})
    assert [each.english for each in read] == [None]


def test_a_word_that_only_begins_like_a_key_is_left() -> None:
    assert english("das Testament") == ["", None]


def test_a_word_longer_than_any_compound_is_not_taken_apart() -> None:
    assert english("plan" * 200) == [None]


def test_every_line_of_the_table_says_something() -> None:
    lines = FILE.read_text("utf-8").splitlines()
    for line in lines:
        keys, tab, words = line.partition("\t")
        if tab:
            assert words.isascii() and words.strip() == words and words, line
            assert all(keys.split(", ")), line
    assert len(languages().keys) > 7_000


def test_keys_are_written_as_they_are_looked_up() -> None:
    assert all(simplified(fold(key)) == key for key in languages().keys)
