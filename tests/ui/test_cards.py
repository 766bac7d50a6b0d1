"""Cards say what the check found, and escape what they show."""

from __future__ import annotations

from recx.explainers._explanation import Explanation
from recx.ui import cards, list_cards
from recx.ui.words import TERMS

EVIL = '<script>alert("x")</script>'


def made(**values) -> dict:
    base = {
        "explainer": "minimal",
        "recommender": "ease",
        "dataset": "planted",
        "user": "1",
        "target": "9",
        "target_title": EVIL,
        "k": 10,
        "rank_before": 1,
        "margin_before": 0.5,
        "searched": "no set of up to 4 items; 2,311 tried",
        "sentence": f"Had you not watched {EVIL}.",
    }
    return Explanation(**(base | values)).as_dict()


FOUND = {
    "items": ("1",),
    "titles": (EVIL,),
    "weights": (0.5,),
    "found": True,
    "rank_after": 14,
    "rank_only": 2,
    "minimal": "proved",
}


def test_the_verdict_follows_the_check() -> None:
    said = [
        cards.verdict(made(**FOUND, necessary=n, sufficient=s))[1:]
        for n, s in ((True, True), (True, False), (False, True), (False, False))
    ]
    assert [kind for _, kind in said] == ["yes", "yes", "no", "no"]
    assert [words.split(":")[0] for words, _ in said] == ["True", "True", "Not the reason", "Not the reason"]
    assert cards.verdict(made())[1] == "No reason found"


def test_a_card_shows_ranks_and_terms_and_no_markup_of_titles() -> None:
    page = cards.explanation(
        made(**FOUND, necessary=True, sufficient=True, replacement="3", replacement_title="Brazil"), "Minimal set"
    )
    assert "<script" not in page
    assert "&lt;script&gt;" in page
    for words in ("1 → <b>14</b>", "Brazil", "proved", "rank 2 with only them", "0 model calls", "2,311 tried"):
        assert words in page


def test_nothing_to_spare_and_no_proof_of_the_smallest_do_not_contradict_each_other() -> None:
    """The set has no item too many; other items may still do it with fewer."""
    page = cards.explanation(made(**FOUND, necessary=True), "x")
    page += cards.fact("certificate", "", "not proved that no smaller set exists: 31 of 142 tried")
    assert 'items to spare</span></dt><dd><span class="yes">✓ none, proved' in page
    assert "other, smaller sets</span></dt><dd>not proved" in page
    assert "perhaps" in cards.minimal("not proved")
    assert "does not apply" in cards.minimal(None)
    assert "<dt>items to spare</dt>" in cards.glossary({"minimal": TERMS["minimal"]}), "the start page says it alike"


def test_nothing_found_is_said_with_what_was_tried() -> None:
    page = cards.explanation(made(), "Minimal set")
    assert "No reason found" in page
    assert "2,311 tried" in page
    assert "necessary" not in page


def row(item: str, rank: int) -> dict:
    return {"item": item, "title": f"Film {item}", "year": None, "rank": rank, "score": 1.0, "held_out": item == "d"}


def test_movement_marks_compare_places() -> None:
    before, after = [row(i, r) for r, i in enumerate("abc", 1)], [row(i, r) for r, i in enumerate("bda", 1)]
    assert [(item, mark) for item, mark, _ in list_cards.moved(before, after)] == [
        ("b", "▲ 1"),
        ("d", "new"),
        ("a", "▼ 2"),
    ]
    page = list_cards.whatif_list(before, after)
    assert page.count('class="gone"') == 1
    assert "★" in page


def test_no_reaction_of_the_model_is_seen() -> None:
    """Nothing found, or the same rank and margin without the named items."""
    assert cards.unmoved(made())
    same = {"rank_before": 1, "rank_after": 1, "margin_before": 0.5}
    assert cards.unmoved(made(**FOUND | same | {"margin_after": 0.5}))
    assert not cards.unmoved(made(**FOUND | same | {"margin_after": 0.4}))
    assert "no edit changes &lt;a&gt; score" in cards.explanation(made(), "x", note="no edit changes <a> score")


def test_an_explainer_without_an_answer_says_why_on_its_card() -> None:
    page = cards.no_answer("lcer", EVIL, f"lcer needs {EVIL}")
    assert "Lcer needs" in page
    assert "<script" not in page


def side(item: str, rank: int, other: int) -> dict:
    return row(item, rank) | {"other": other, "title": EVIL}


def test_two_lists_side_by_side_mark_what_is_only_here_and_what_stands_elsewhere() -> None:
    rows = [side("a", 1, 3), side("b", 2, 2), side("c", 3, 1), side("d", 4, 57)]
    page = list_cards.side_list(rows, "A", "B", 10)
    marks = [part.split("</span>")[0].split(">")[-1] for part in page.split('class="mark')[1:]]
    assert marks == ["▲ 2", "=", "▼ 2", "only"]
    assert "57 in B" in page
    assert "3 in B" not in page
    assert "<script" not in page
    assert page.count('class="num dim">1<') == 0, "scores are hidden"
    assert list_cards.side_list(rows, "A", "B", 10, scores=True).count('class="num dim">1<') == 4


def test_every_term_shown_is_explained() -> None:
    page = cards.explanation(
        made(**FOUND, necessary=True, sufficient=True, details={"rules": [{"item": "1", "support": 0.1, "lift": 2.0}]}),
        "x",
    )
    for part in page.split('data-tip="')[1:]:
        assert len(part.split('"')[0]) > 25, part[:60]
    assert all(words.endswith(".") for words in TERMS.values())


def test_a_card_of_a_whole_list_says_what_leaves_and_what_comes() -> None:
    counts = {"size": 10, "need": 5, "replaced": 5, "pn_s": 0.5, "pn_r": 0.39, "stay": 7}
    moves = {"left": [{"title": EVIL, "place": 4}], "came": [{"title": "Big", "place": 8}]}
    row = made(target=None, details=counts | moves, necessary=True, **{k: FOUND[k] for k in FOUND if k != "rank_only"})
    page = list_cards.whole_list(row, "Minimal set")
    assert "True: 5 of 10 are others without them" in page
    assert "5 of 10 (asked for 5)" in page
    assert "Big" in page
    assert EVIL not in page
    few = row | {"necessary": False, "details": row["details"] | {"replaced": 2}}
    assert list_cards.list_verdict(few)[1] == "Not enough: 2 of 10 are others, 5 asked for"
    assert list_cards.list_verdict(row | {"found": False})[2] == "na"
    assert EVIL not in list_cards.list_line([EVIL])
