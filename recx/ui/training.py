"""Training a model from the page: the form, the job with its loss curve, and what it came to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import streamlit as st

from recx.core.errors import BadInput
from recx.engine.jobs import Job
from recx.figures import training as figures
from recx.recipes.fit import Fit
from recx.recipes.trained import Trained
from recx.studies.leaderboard import FLOORS
from recx.ui import cards, fetch, frame, settings, text
from recx.ui.case import CHART
from recx.ui.models import NAIVE, short
from recx.ui.state import view

METRICS = ("hr@10", "ndcg@10", "ndcg@100", "recall@20", "recall@50")


def train() -> None:
    """The form of the chosen model; below it, the training of exactly these settings."""
    now = view()
    form = frame.forms().form_of("models", now.model)
    st.subheader(f"Train {text.md(short(form))} on {text.md(now.dataset)}", anchor="train", help=_about(form))
    st.caption(
        f"{text.md(_sentence(form['title'].partition(':')[2] or form['title']))} Data set, model, seed and split are "
        "chosen on the left."
    )
    try:
        recipe = Trained(frame.fit_of(now.model, now.settings, now.seed))
    except BadInput as error:
        st.error(text.md(error), icon=":material/error:")
        return
    outcome = fetch.now(recipe)
    busy = outcome.job is not None and outcome.job.open
    if settings.training(form, busy=busy):
        recipe = Trained(frame.fit_of(now.model, view().settings, now.seed))
        asked = fetch.get(recipe, f"Train {now.model} on {now.dataset}", again=True)
        if outcome.result is not None and view().settings == now.settings:
            st.toast("Trained with these settings already: the stored result is below.", icon=":material/check:")
        st.session_state["train_said"] = asked.error if asked.job is None else ""
        st.rerun()
    if said := st.session_state.pop("train_said", ""):
        st.error(text.md(said), icon=":material/error:")
    with st.container(key="training"):
        _training(recipe, outcome)


def _sentence(words: str) -> str:
    words = words.strip().rstrip(".")
    return f"{words[:1].upper()}{words[1:]}."


def _about(form: Mapping[str, Any]) -> str:
    paper = f"\n\n{text.md(form['paper'])}" if form.get("paper") else ""
    return "  \n".join(text.md(line) for line in str(form.get("about", "")).splitlines()) + paper


def _training(recipe: Trained, outcome: fetch.Outcome) -> None:
    """The result, the running job, the failure, or that nothing has been asked yet."""
    if outcome.result is not None:
        result(recipe.fit, outcome.result)
    elif outcome.job is not None and outcome.job.open:
        running(recipe)
    elif outcome.error:
        fetch.show(outcome, "train")
        _curve(recipe.fit, "The training ended before its first epoch.")
    else:
        st.caption("Not trained yet with these settings: press *Train*. A stored result is shown at once.")


# -- while it trains


def running(recipe: Trained) -> None:
    """Progress, the curves so far and a button to cancel, looked at again and again until the job ends."""

    @st.fragment(run_every=fetch.POLL)
    def poll() -> None:
        job = fetch.engine().job(fetch.engine().store.key(recipe))
        if job is None or not job.open:
            st.rerun()
        own = fetch.engine().table.get(fetch.engine().store.key(recipe.fit))
        fetch.progress(replace(own, title=job.title, created=job.created, started=0.0) if own and own.open else job)
        if said := resumed(own):
            st.caption(f":material/restart_alt: {text.md(said)}")
        st.button("Cancel", key="cancel_train", on_click=fetch.cancel, args=(job.key,), icon=":material/close:")
        _curve(recipe.fit, "The curve begins with the first epoch.")

    poll()


def resumed(job: Job | None) -> str:
    """That a training went on where an earlier one ended, and whether a worker was lost; empty when neither is so."""
    if job is None:
        return ""
    found = re.findall(r"resumed after epoch [\d,]+", job.log)
    lost = "Its worker was lost: " if job.restarts else ""
    words = f"{found[-1]}." if found else "it begins again." if lost else ""
    return lost + words if lost else words.capitalize()


def _curve(fit: Fit, nothing: str) -> None:
    rows = fetch.engine().table.curve(fetch.engine().store.key(fit))
    st.plotly_chart(
        figures.curves(rows, nothing=nothing),
        key="train_curve",
        config=CHART,
        alt=f"Loss and validation after {len(rows)} epochs.",
    )


# -- what it came to


def result(fit: Fit, found: Mapping[str, Any]) -> None:
    """Accuracy beside the floors, how the training ended, its curves."""
    report = found["report"]
    if own := resumed(fetch.engine().table.get(fetch.engine().store.key(fit))):
        st.caption(f":material/restart_alt: {text.md(own)}")
    _numbers(report)
    st.markdown(ended(report))
    if said := beside(fit.model.name, found["metrics"], found["floors"]):
        st.markdown(f":orange[{said}]")
    label = short(frame.forms().form_of("models", fit.model.name))
    floors = {name: values for name, values in found["floors"].items() if name != fit.model.name}
    st.html(cards.table(accuracy(label, found["metrics"], floors), "Accuracy beside the floors"))
    st.caption(f"All items ranked, without those a person has, over {found['metrics']['n']:,} held-out cases.")
    if report.get("curve"):
        st.plotly_chart(
            figures.curves(report["curve"]),
            key="train_curve",
            config=CHART,
            alt=f"Loss and validation over {len(report['curve'])} epochs.",
        )
    if st.button("Open a case with this model", icon=":material/person_search:", key="open_trained"):
        st.switch_page("pages/case.py")


def _numbers(report: Mapping[str, Any]) -> None:
    parameters, epochs = report.get("parameters"), report.get("epochs")
    converged = report.get("converged")
    grid = st.grid(4, min_column_width=140, gap="small")
    device = report.get("device", "cpu")
    grid.metric("Time", text.seconds(report.get("seconds")), help=f"Training time, on {text.md(device)}.", border=True)
    grid.metric("Epochs", text.number(epochs), help="Passes over the training data.", border=True)
    grid.metric("Parameters", text.number(parameters), help="Trained numbers of the model.", border=True)
    words = "–" if converged is None else "yes" if converged else "no"
    grid.metric("Converged", words, help="Whether the training ended because more would not help.", border=True)


def ended(report: Mapping[str, Any]) -> str:
    """How the training ended, in a sentence of markdown."""
    curve = report.get("curve") or [{}]
    spent = curve[-1].get("seconds", report.get("seconds"))
    epochs, seconds = text.plural(report.get("epochs") or 0, "epoch"), text.seconds(spent)
    note = f" {text.md(str(report['note'])).rstrip('.').capitalize()}." if report.get("note") else ""
    best = _best(report)
    match report.get("stopped"):
        case "max_seconds":
            return f":orange[Stopped by its time limit after {seconds}, not converged.]{best}{note}"
        case "patience":
            return f"Converged: {epochs}, and the last ones brought nothing better on the validation part.{best}{note}"
        case "diverged":
            return f":orange[The loss diverged after {epochs}; the last good state was kept.]{best}{note}"
        case "epochs" if not report.get("converged"):
            return f":orange[Stopped after its {epochs}, not converged: allow more epochs.]{best}{note}"
        case "epochs":
            return f"Ended after its {epochs}.{best}{note}"
    if report.get("converged") is False:
        return f":orange[Not converged.]{note}"
    return f"Computed at once: this model has nothing that could converge.{note}"


def _best(report: Mapping[str, Any]) -> str:
    checked = [row for row in report.get("curve") or () if row.get("quality") is not None]
    if not checked:
        return ""
    best = max(checked, key=lambda row: row["quality"])
    return f" The state after epoch {best['epoch']:,} is kept (validation {best['quality']:.4f})."


def accuracy(model: str, metrics: Mapping[str, Any], floors: Mapping[str, Mapping[str, Any]]) -> list[dict[str, str]]:
    """One row for the model and one per floor, ready to show."""
    rows = {model: metrics} | {f"{name} (floor)": values for name, values in floors.items()}
    names = [name for name in METRICS if name in metrics]
    names += [name for name in metrics if name not in (*METRICS, "n")]
    return [
        {"model": label} | {_metric(name): _cell(values.get(name)) for name in names} for label, values in rows.items()
    ]


def _metric(name: str) -> str:
    """`NDCG@10` for `ndcg@10`."""
    head, at, k = name.partition("@")
    return ("Recall" if head == "recall" else head.upper()) + at + k


def _cell(value: Any) -> str:
    return "–" if value is None else f"{value:.4f}"


def beside(model: str, metrics: Mapping[str, Any], floors: Mapping[str, Mapping[str, Any]]) -> str:
    """A sentence when a model is no better than a floor; else empty."""
    below = [name for name, values in floors.items() if name != model and metrics["ndcg@10"] <= values["ndcg@10"]]
    if model in NAIVE or not below:
        return ""
    kind = "this floor" if model in FLOORS else "the model"
    return f"In NDCG@10 {kind} is not above {' and '.join(below)}: a fault, or it learnt too little."
