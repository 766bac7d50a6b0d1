"""Rules from perturbed histories: what the recommender answers, Eq. 1 fitted for all pairs at once, counts, effects.

Shapes: P pairs of R people; m records per person, windows of n items. `Records.y` says for each pair and record whether
the pair's target is the output.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn import functional as F

from recx.core.progress import Progress
from recx.data.interactions import PAD
from recx.explainers._explanation import Finding
from recx.explainers._layout import grouped
from recx.metrics.rules import difference, paired_effect
from recx.worlds.edited import EditedWorld

SHOWN, LEADING = 30, 5
"""Perturbed histories kept with a finding, and items of the largest theta."""
ASKED = 2**16
"""Perturbed histories that are written out in full at a time."""


@dataclass(frozen=True, eq=False)
class Cases:
    """The pairs, and the windows of their people.

    `rows` Long[R]: distinct rows of the world; `person` Long[P]: which of them; `slot`, `targets` Long[R, T] as in
    `_layout.grouped`; `target` Long[P]. `columns` Long[R, n]: columns of the history row in the window; `window`
    Long[R, n]: the items there (PAD where the history is shorter).
    """

    rows: torch.Tensor
    person: torch.Tensor
    slot: tuple[torch.Tensor, torch.Tensor]
    targets: torch.Tensor
    target: torch.Tensor
    columns: torch.Tensor
    window: torch.Tensor
    histories: torch.Tensor

    @classmethod
    def of(cls, world: EditedWorld, row: torch.Tensor, target: torch.Tensor, length: int) -> Cases:
        rows, slot, targets = grouped(row, target)
        histories = world.histories[rows]
        columns = torch.argsort((histories != PAD).to(torch.int8), dim=1, stable=True)[:, -length:]
        window = histories.gather(1, columns)
        window = F.pad(window, (length - window.shape[1], 0), value=PAD)
        return cls(rows, slot[0], slot, targets, target, columns, window, histories)


@dataclass(frozen=True, eq=False)
class Records:
    """`items` Long[R, m, n] windows; `y` Bool[P, m]: is the pair's target the output. `own`: is the first record the
    history itself."""

    items: torch.Tensor
    y: torch.Tensor
    own: bool

    def first(self, m: int) -> Records:
        """The history itself, if it is there, and the first m perturbed ones."""
        return Records(self.items[:, : m + self.own], self.y[:, : m + self.own], self.own)

    @property
    def calls(self) -> int:
        """Histories scored for each pair."""
        return self.items.shape[1]


@dataclass(frozen=True)
class Asking:
    """The recommender asked about perturbed histories: all pairs in one batch, streamed by the world."""

    world: EditedWorld
    cases: Cases
    limit: int
    candidates: str

    def answered(self, perturbed: torch.Tensor, progress: Progress, own: bool = False) -> Records:
        """The records of perturbed windows Long[R, m, n]; with `own` the histories themselves come first."""
        cases = self.cases
        items = torch.cat([cases.window[:, None], perturbed], dim=1) if own else perturbed
        m = items.shape[1]
        y = torch.empty(len(cases.rows), m, cases.targets.shape[1], dtype=torch.bool, device=items.device)
        for r in torch.arange(len(cases.rows), device=items.device).split(max(1, ASKED // m)):
            histories = self._whole(r.repeat_interleave(m), items[r].flatten(0, 1))
            who, targets = cases.rows[r].repeat_interleave(m), cases.targets[r].repeat_interleave(m, 0)
            rank = self.world.ranks_of(histories, who, targets, self.candidates)
            y[r] = (rank <= self.limit).view(len(r), m, -1)
            progress(float(r[-1] + 1) / len(cases.rows), "asking about perturbed histories")
        return Records(items, y[cases.slot[0], :, cases.slot[1]], own)

    def put_back(self, fresh: Records, progress: Progress) -> torch.Tensor:
        """Long[P, n, 3]: for each item of the window, of the records in which another stands at its place: how many,
        how many have the output only with the item put back there, how many only without. A record that has it at a
        second place counts too."""
        cases, n = self.cases, fresh.items.shape[2]
        own = cases.window[cases.person][:, None]
        items = fresh.items[cases.person]
        out = torch.zeros(len(cases.target), n, 3, dtype=torch.long, device=items.device)
        for j in range(n):
            pair, record = torch.nonzero((items[:, :, j] != own[:, :, j]) & (own[:, :, j] != PAD), as_tuple=True)
            for p, r in zip(pair.split(ASKED), record.split(ASKED), strict=True):
                back = items[p, r]
                back[:, j] = own[p, 0, j]
                histories = self._whole(cases.person[p], back)
                who, target = cases.rows[cases.person[p]], cases.target[p, None]
                with_it = self.world.ranks_of(histories, who, target, self.candidates)[:, 0] <= self.limit
                without = fresh.y[p, r]
                for c, counted in enumerate((torch.ones_like(without), with_it & ~without, without & ~with_it)):
                    out[:, j, c].index_add_(0, p, counted.long())
            progress((j + 1) / n, "putting items back")
        return out

    def shown(self, made: Records) -> torch.Tensor:
        """Long[R, s]: the first item of the list for the first perturbed windows."""
        items = made.items[:, int(made.own) :][:, :SHOWN]
        person = torch.arange(len(items), device=items.device).repeat_interleave(items.shape[1])
        histories = self._whole(person, items.flatten(0, 1))
        return self.world.first_of(histories, self.cases.rows[person], self.candidates).view(items.shape[:2])

    def _whole(self, person: torch.Tensor, items: torch.Tensor) -> torch.Tensor:
        """Long[S, L]: the histories of people with their windows replaced by Long[S, n]."""
        columns = self.cases.columns[person]
        return self.cases.histories[person].scatter(1, columns, items[:, -columns.shape[1] :])


@dataclass(frozen=True, eq=False)
class Thetas:
    """Fitted dependencies, flat: `pair`, `item` Long[U], `value` Float[U], `place` Long[U] (1 = largest of the pair;
    among equals, items outside the history first), `in_history` Bool[U]; sorted by pair, then place."""

    pair: torch.Tensor
    item: torch.Tensor
    value: torch.Tensor
    place: torch.Tensor
    in_history: torch.Tensor
    start: torch.Tensor

    def of(self, p: int) -> slice:
        """The entries of one pair."""
        return slice(int(self.start[p]), int(self.start[p + 1]))


def fit(made: Records, cases: Cases, gamma: float, form: str, steps: int, lr: float, l2: float) -> Thetas:
    """Eq. 1 for every pair, all at once: only the records with a pair's output say anything of its thetas."""
    keep = made.y if form == "as-published" else torch.ones_like(made.y)
    pair, record = torch.nonzero(keep, as_tuple=True)
    items = made.items[cases.person[pair], record]
    here = items != PAD
    n_items = max(0, int(made.items.max())) + 1
    keys, index = torch.unique((pair[:, None] * n_items + items)[here], return_inverse=True)
    place = torch.full_like(items, len(keys))
    place[here] = index
    weight = gamma ** torch.arange(items.shape[1] - 1, -1, -1, device=items.device, dtype=torch.float32) * here
    n_pairs, size = len(cases.target), len(keys)
    if form == "as-published":
        theta = positives(place, weight, pair, n_pairs, size, steps, lr)
    else:
        theta = against(place, weight, pair, made.y[pair, record], n_pairs, size, steps, l2)
    return _ordered(keys // n_items, keys % n_items, theta, cases)


def positives(
    place: torch.Tensor, weight: torch.Tensor, pair: torch.Tensor, n_pairs: int, size: int, steps: int, lr: float
) -> torch.Tensor:
    """Float[size]: theta after `steps` steps up the mean log-likelihood of each pair's records, from 0.

    `place` Long[N, n]: which theta stands at a position (`size`: none); `weight` Float[N, n]; `pair` Long[N].
    """
    share = lr / torch.bincount(pair, minlength=n_pairs).clamp_min(1)[pair]
    theta, flat = weight.new_zeros(size + 1), place.flatten()
    for _ in range(steps):
        pull = torch.sigmoid(-(theta[place] * weight).sum(1)) * share
        theta.index_add_(0, flat, (pull[:, None] * weight).flatten())
        theta[size] = 0.0
    return theta[:size]


def against(
    place: torch.Tensor,
    weight: torch.Tensor,
    pair: torch.Tensor,
    y: torch.Tensor,
    n_pairs: int,
    size: int,
    steps: int,
    l2: float,
) -> torch.Tensor:
    """Float[size]: theta at the maximum of mean log-likelihood - l2/2 |theta|^2 over all records of each pair.

    With an intercept per pair that is penalised 1,000 times less. Nesterov's method for strongly convex functions: the
    step is one over the largest curvature, a quarter of the largest squared length of a record.
    """
    share = 1.0 / torch.bincount(pair, minlength=n_pairs).clamp_min(1)[pair]
    wide = float((weight.sum(1) ** 2).max()) + 1 if len(weight) else 1.0
    penalty = torch.full((size + 1 + n_pairs,), l2, device=weight.device)
    penalty[size:] = l2 / 1000
    top = 0.25 * wide + l2
    momentum = (1 - math.sqrt(l2 / 1000 / top)) / (1 + math.sqrt(l2 / 1000 / top))
    theta = weight.new_zeros(size + 1 + n_pairs)
    ahead, flat, truth = theta.clone(), place.flatten(), y.to(weight.dtype)
    for _ in range(steps):
        score = (ahead[place] * weight).sum(1) + ahead[size + 1 :][pair]
        pull = (truth - torch.sigmoid(score)) * share
        up = -penalty * ahead
        up.index_add_(0, flat, (pull[:, None] * weight).flatten())
        up[size + 1 :].index_add_(0, pair, pull)
        up[size] = 0.0
        new = ahead + up / top
        ahead, theta = new + momentum * (new - theta), new
    return theta[:size]


def _ordered(pair: torch.Tensor, item: torch.Tensor, theta: torch.Tensor, cases: Cases) -> Thetas:
    own = (cases.window[cases.person[pair]] == item[:, None]).any(1)
    order = torch.arange(len(item), device=item.device)
    for key in (own.to(torch.int8), -theta, pair):
        order = order[torch.argsort(key[order], stable=True)]
    pair, item, theta, own = pair[order], item[order], theta[order], own[order]
    start = F.pad(torch.bincount(pair, minlength=len(cases.target)).cumsum(0), (1, 0))
    place = torch.arange(len(item), device=item.device) - start[pair] + 1
    return Thetas(pair, item, theta, place, own, start)


def best(theta: Thetas, cases: Cases) -> tuple[torch.Tensor, torch.Tensor]:
    """Item and place Long[P] of the item of the history with the largest theta; -1 and 0 where none has one."""
    item, place = torch.full_like(cases.target, -1), torch.zeros_like(cases.target)
    mine = torch.nonzero(theta.in_history & (theta.value > 0))[:, 0]
    pair = theta.pair[mine]
    first = torch.ones_like(pair, dtype=torch.bool)
    first[1:] = pair[1:] != pair[:-1]
    item[pair[first]], place[pair[first]] = theta.item[mine[first]], theta.place[mine[first]]
    return item, place


def counts(records: Records, cases: Cases) -> torch.Tensor:
    """Long[P, n, 4]: for each item of the window: records with it and the output, with it, without it and with the
    output, without it (Eq. 3)."""
    own = cases.window[cases.person]
    there = (records.items[cases.person][:, :, None, :] == own[:, None, :, None]).any(3)
    y = records.y[:, :, None]
    return torch.stack([(there & y).sum(1), there.sum(1), (~there & y).sum(1), (~there).sum(1)], dim=2)


@dataclass(frozen=True, eq=False)
class Tables:
    """What findings are made of, on the CPU: `inside` and `fresh` Float[P, n, 4] counts, `effects` Float[P, n, 3]."""

    cases: Cases
    made: Records
    theta: Thetas
    inside: Any
    fresh: Any
    effects: Any
    shown: torch.Tensor

    @classmethod
    def of(
        cls,
        cases: Cases,
        made: Records,
        theta: Thetas,
        fresh: Records | None,
        effects: torch.Tensor | None,
        shown: torch.Tensor,
    ) -> Tables:
        tested = None if fresh is None else counts(fresh, cases).cpu().numpy()
        effect = None if effects is None else effects.cpu().numpy()
        return cls(cases, made, theta, counts(made, cases).cpu().numpy(), tested, effect, shown)

    def rules(self, p: int) -> list[dict[str, Any]]:
        """One row per item of the window, the largest theta first."""
        own = self.cases.window[self.cases.person[p]].tolist()
        columns = self.cases.columns[self.cases.person[p]].tolist()
        columns = [-1] * (len(own) - len(columns)) + columns
        mine = self.theta.of(p)
        known = dict(
            zip(
                self.theta.item[mine].tolist(),
                zip(self.theta.value[mine].tolist(), self.theta.place[mine].tolist(), strict=True),
                strict=True,
            )
        )
        rows = []
        for j, item in enumerate(own):
            if item == PAD:
                continue
            value, place = known.get(item, (0.0, None))
            row: dict[str, Any] = {"column": columns[j], "theta": value, "place": place}
            names = ("in_and_y", "in", "out_and_y", "out")
            row |= {name: int(n) for name, n in zip(names, self.inside[p, j], strict=True)}
            row |= _three("difference", difference(*self.inside[p, j]))
            if self.fresh is not None:
                row |= {f"fresh_{name}": int(n) for name, n in zip(names, self.fresh[p, j], strict=True)}
                row |= _three("fresh_difference", difference(*self.fresh[p, j]))
                row |= {"replaced": int(self.effects[p, j, 0])} | _three("effect", paired_effect(*self.effects[p, j]))
            rows.append(row)
        return sorted(rows, key=lambda row: (-row["theta"], -row["column"]))

    def finding(self, p: int, rank_limit: int, seconds: float) -> Finding:
        """What was found for one pair: the item of the history with the largest theta, if it is among the first."""
        rules, calls = self.rules(p), self._calls(p)
        inside = {row["column"]: row["theta"] for row in rules}
        history = self.cases.histories[self.cases.person[p]]
        older = [(c, 0.0) for c in torch.nonzero(history != PAD)[:, 0].tolist() if c not in inside]
        details: dict[str, Any] = {
            "per_item": [(row["column"], row["theta"]) for row in rules] + older,
            "rules": rules,
            "leading": self._leading(p),
            "perturbed": self._perturbed(p),
        } | self._changed(p)
        answered = bool(self.made.y[p, 0])
        cause = next(
            (row for row in rules if (row["place"] or rank_limit + 1) <= rank_limit and row["theta"] > 0), None
        )
        said = self._searched(p, rules, rank_limit, details, answered)
        if cause is None or not answered:
            return Finding(details=details, calls=calls, seconds=seconds, searched=said)
        measured = {name: cause[name] for name in cause if name != "column"}
        return Finding(
            positions=(cause["column"],),
            weights=(cause["theta"],),
            details=measured | details,
            calls=calls,
            seconds=seconds,
            searched=said,
        )

    def _calls(self, p: int) -> int:
        tested = 0 if self.fresh is None else int(self.fresh[p, 0, 1] + self.fresh[p, 0, 3])
        return self.made.calls + tested + (0 if self.effects is None else int(self.effects[p, :, 0].sum()))

    def _leading(self, p: int) -> list[dict[str, Any]]:
        mine = self.theta.of(p)
        rows = slice(mine.start, min(mine.stop, mine.start + LEADING))
        names = ("code", "theta", "place", "in_history")
        columns = (self.theta.item, self.theta.value, self.theta.place, self.theta.in_history)
        return [dict(zip(names, one, strict=True)) for one in zip(*(c[rows].tolist() for c in columns), strict=True)]

    def _perturbed(self, p: int) -> list[dict[str, Any]]:
        r, first = int(self.cases.person[p]), int(self.made.own)
        own, n = self.cases.window[r].tolist(), self.shown.shape[1]
        rows = zip(
            self.made.items[r, first : first + n].tolist(),
            self.shown[r].tolist(),
            self.made.y[p, first : first + n].tolist(),
            strict=True,
        )
        return [
            {
                "codes": [item for item in items if item != PAD],
                "changed": [item != old for item, old in zip(items, own, strict=True) if old != PAD],
                "output": output,
                "recommended": recommended,
            }
            for items, output, recommended in rows
        ]

    def _changed(self, p: int) -> dict[str, float | None]:
        """Shares of positions and of perturbed histories that differ from the history, and with the output."""
        r, first = int(self.cases.person[p]), int(self.made.own)
        here = self.cases.window[r] != PAD
        items, y = self.made.items[r, first:][:, here], self.made.y[p, first:]
        if not items.numel():
            return {"changed_positions": None, "changed_histories": None, "recommended": None}
        differs = items != self.cases.window[r][here]
        return {
            "changed_positions": float(differs.float().mean()),
            "changed_histories": float(differs.any(1).float().mean()),
            "recommended": float(y.float().mean()),
        }

    def _searched(
        self, p: int, rules: list[dict[str, Any]], rank_limit: int, details: dict[str, Any], answered: bool
    ) -> str:
        if not rules:
            return "there is no history to perturb"
        if not answered:
            return "it is not what the model recommends to the true history, by the strict count: nothing was learnt"
        m, changed = self.made.calls - int(self.made.own), details["changed_positions"] or 0.0
        mine = self.theta.of(p)
        n = mine.stop - mine.start
        still = details["recommended"] or 0.0
        said = f"{m:,} perturbed histories, {changed:.0%} of their items changed; recommended to {still:.0%} of them"
        said += f"; {n:,} items weighed"
        places = [row["place"] for row in rules if row["place"] is not None]
        if min(places, default=n + 1) <= rank_limit:
            return said
        which = "the largest weight" if rank_limit == 1 else f"one of the {rank_limit} largest weights"
        return f"{said}: no item of the history has {which}"


def _three(name: str, values: Any) -> dict[str, float | None]:
    """A value and its interval as plain numbers; None where nothing was counted."""
    keys = (name, f"{name}_low", f"{name}_high")
    return {key: float(value) if math.isfinite(value) else None for key, value in zip(keys, values, strict=True)}
