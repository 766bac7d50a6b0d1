"""Every term the app uses, explained once; shown on hover wherever the term stands."""

from __future__ import annotations

TERMS: dict[str, str] = {
    "data set": "Who did what, when: the events the recommenders learn from. `planted` is generated, so "
    "its true causes are known.",
    "model": "The recommender. It gets a history and gives every item a score; the highest scores are recommended.",
    "split": "Which events a model may learn from and which are held out to judge it. leave-one-out hides "
    "each user's last item.",
    "seed": "The number that fixes every random choice of the training. Same seed, same data, same code: same model.",
    "k": "The length of the recommended list. Being recommended means being among the first k.",
    "user": "A person of the data set, by the data set's own id.",
    "history": "What the user did before, oldest first, as the model sees it: everything except the held-out items.",
    "held-out": "The item the user really chose next. It was hidden from the model; ★ marks it where the "
    "model found it.",
    "score": "What the model gives an item. The unit is the model's own, so compare scores within one list only.",
    "rank": "Place among all items that are not in the history. 1 is best. On a tie the worse place is counted.",
    "margin": "The item's score minus the score of the strongest item outside (or at the end of) the list, "
    "in score units. "
    "Above zero it is in the top k, below zero it is not.",
    "candidates": "Items that can be recommended: all that are not in the original history. A removed item "
    "does not come back.",
    "replacement": "The item that enters the list when the named items are removed.",
    "checked": "The recommender was run again without the named items, and once more with only them. "
    "Nothing here is a guess.",
    "necessary": "Without the named items the recommendation leaves the top k. If they had not been there, "
    "it would not be shown.",
    "sufficient": "With only the named items as history, the recommendation is in the top k all the same: "
    "they are enough.",
    "minimal": "Whether a part of the named items does the same. 'none, proved': all parts were tried and none does, "
    "so every item of this set counts. 'perhaps': a part does it too, or not all parts were tried. Whether quite other "
    "items do it with fewer is another question.",
    "smallest set": "The size of the smallest set that does the same for this recommendation, found by *Minimal set*. "
    "'proved': all smaller sets were tried and none does it. 'or fewer': nobody has tried them all.",
    "certificate": "Whether fewer items would do the same, also quite other ones, and what was tried to find them. "
    "Where all smaller sets were tried, none exists; else one may exist, even when this set has nothing to spare.",
    "replaced": "How many of the recommended items are others when the named items are removed.",
    "PN-R": "The share of the list that is new without the named items, where early places count more: 1 when every "
    "place is new (PN-R of the 2026 benchmark of explanations for lists).",
    "stay": "How many of the recommended items are still in the list when the history holds only the named items.",
    "world": "What was changed to find out. edited-history: the model stays as it is, and its input changes: these "
    "items leave the person's history.",
    "model calls": "How many histories the model scored to find and to check this explanation.",
    "time": "Computing time for this explanation, check included; its share where many were computed together.",
    "explainer": "A method that names the history items behind a recommendation. Each answer is checked in "
    "the same way.",
    "weight": "How much the explainer itself says that the item matters; its meaning differs between explainers.",
    "predicted effect": "The change the explainer predicted, before the check.",
    "heavy": "Among the tenth of the users with most events.",
    "light": "Among the tenth of the users with fewest events.",
    "niche": "Among the tenth of the users whose items are least popular on average.",
    "mainstream": "Among the tenth of the users whose items are most popular on average.",
    "popularity": "The number of events of an item in the data. 'Mean popularity' of a user: the average "
    "percentile of the items.",
    "what-if": "Switch an item off and the model is asked again without it. The model itself is not trained again.",
    "holds it down": "Switching this history item off raises the score of the item you ask about.",
    "lifts it": "Switching this history item off lowers the score of the item you ask about.",
    "overlap": "The share of the items that both lists have, whatever their places.",
    "rank-biased overlap": "How alike two lists are when early places count more: 1 for the same order, 0 for nothing "
    "in common (Webber, Moffat and Zobel 2010; p = 0.9).",
    "floor": "A method with next to nothing to learn: whatever learns should be better.",
    "density": "Events divided by users times items: the share of the table that is filled.",
    "fingerprint": "A hash of the content. Same fingerprint, same data or same code.",
    "dropped": "Rows of the source files that could not be used, counted per reason.",
    "rule": "If somebody has this item, the other one follows. An association rule counts what people have together; a "
    "causal rule is what a small model of this recommender learns from its answers to changed histories.",
    "check of a rule": "The recommender is asked again without this one item: the place of the recommendation then.",
    "strength": "What the causal rule's model gives the item (theta, weakened by how long ago it was); it has no unit.",
    "in perturbed": "How much more often the item was recommended in perturbed histories with this item than in those "
    "without it, in points: the histories that the rule was made from, as the paper tests it (Eq. 2).",
    "in fresh": "The same on new perturbed histories that the rule has not seen.",
    "put back": "Where the item had been replaced, it was put back and the recommender asked again: how many points "
    "more often the recommendation came then. Nothing else differs, so this is the item's own effect.",
    "base_rate": "The share of all histories that have the recommended item.",
    "support": "The share of the training histories that have both items.",
    "confidence": "Of the histories with the named item, the share that also has the recommended one.",
    "lift": "Confidence divided by the share of all histories that have the recommended item. 1 means no association.",
    "leverage": "The share of histories with both items minus the share expected if the two were independent.",
    "conviction": "How much more often the rule would fail if the two items were independent.",
    "device": "The processor that computed: cpu, or cuda for a graphics card.",
    "lane": "interactive: short questions. batch: training and long work, so that a quick question never "
    "waits behind it.",
}

LABELS = {"minimal": "items to spare", "certificate": "other, smaller sets"}
"""What a term is called on screen where that is not its name."""


def tell(term: str) -> str:
    """What a term means; the term itself where nothing is written (a test keeps the app's terms written)."""
    return TERMS.get(term, term)
