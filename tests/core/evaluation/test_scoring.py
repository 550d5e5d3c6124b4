"""Scores do not depend on how many processes compute them."""

import time

import numpy as np

from mirbench.evaluation import scoring
from mirbench.evaluation.scoring import score_clips


def ratio(reference, estimate):
    time.sleep(0.001)
    return reference / estimate, reference


def test_processes_give_the_scores_of_one_in_their_order(monkeypatch):
    random = np.random.default_rng(0)
    references, estimates = random.uniform(1, 2, (2, 200)).tolist()
    alone = score_clips(ratio, references, estimates, workers=1)
    monkeypatch.setattr(scoring, "SECONDS_ALONE", 0.0)
    monkeypatch.setattr(scoring, "SECONDS_MEASURED", 0.01)
    assert score_clips(ratio, references, estimates, workers=2) == alone
    assert alone[3] == (references[3] / estimates[3], references[3])


def test_what_cannot_be_sent_is_scored_here(monkeypatch):
    monkeypatch.setattr(scoring, "SECONDS_ALONE", 0.0)
    monkeypatch.setattr(scoring, "SECONDS_MEASURED", 0.0)
    assert score_clips(lambda reference, estimate: reference - estimate, [3.0, 4.0], [1.0, 1.0], workers=2) == [
        2.0,
        3.0,
    ]


def test_no_clips_have_no_scores():
    assert score_clips(ratio, [], [], workers=2) == []


def test_the_metrics_of_the_tasks_can_be_sent():
    from mirbench.domain import ClipMetric
    from mirbench.plugins import Plugins

    tasks = [spec.load() for spec in Plugins().tasks.specs()]
    scores = [metric.score for task in tasks for metric in task.metrics if isinstance(metric, ClipMetric)]
    assert len(scores) > 15
    assert all(scoring._can_be_sent(score, []) for score in scores)
