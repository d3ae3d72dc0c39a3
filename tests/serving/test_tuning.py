import asyncio
from typing import Any, cast

import numpy as np
import pytest

from graph.tasks import Task, load_tasks
from serving.annotator import Annotator
from serving.ingress import Ingress
from serving.settings import Limits, Settings
from serving.tuning import TuningError, tune
from tests import TASKS_FILE
from tests.serving.local import LocalTrip

TASKS = load_tasks(TASKS_FILE)
RULED = next(task for task in TASKS if task.rule)
PLAIN = next(task for task in TASKS if not task.rule)


def threshold_of(tasks: tuple[Task, ...]) -> float:
    (task,) = (task for task in tasks if task.rule)
    assert task.rule
    return task.rule.drop_below.threshold


def test_without_a_user_config_the_task_file_the_manifest_and_the_settings_are_in_force() -> None:
    tuned = tune(TASKS, Settings(), {})
    assert tuned.tasks == TASKS
    assert tuned.heads == dict.fromkeys(task.name for task in TASKS)
    assert tuned.default_tasks == tuple(task.name for task in TASKS)
    assert tuned.settings == Settings()


def test_a_user_config_comes_before_them() -> None:
    user_config = {
        "thresholds": {RULED.name: 0.2},
        "temperatures": {PLAIN.name: 1.5},
        "default_tasks": [TASKS[4].name, TASKS[1].name],
        "limits": {"body_bytes": 100, "waiting_seconds": 1.5},
    }
    tuned = tune(TASKS, Settings(), user_config)
    assert threshold_of(tuned.tasks) == 0.2
    assert [task.labels for task in tuned.tasks] == [task.labels for task in TASKS]
    assert {task: t for task, t in tuned.heads.items() if t is not None} == {PLAIN.name: 1.5}
    assert tuned.default_tasks == (TASKS[1].name, TASKS[4].name)
    assert tuned.settings == Settings(body_bytes=100, waiting_seconds=1.5)


@pytest.mark.parametrize(
    ("user_config", "named"),
    [
        ({"treshold": {}}, "treshold"),
        ({"thresholds": {RULED.name: 1.5}}, f"thresholds.{RULED.name}"),
        ({"thresholds": {RULED.name: "high"}}, f"thresholds.{RULED.name}"),
        ({"thresholds": {"no_such_task": 0.5}}, "thresholds: no_such_task"),
        ({"thresholds": {PLAIN.name: 0.5}}, f"thresholds: {PLAIN.name}"),
        ({"temperatures": {PLAIN.name: 0}}, f"temperatures.{PLAIN.name}"),
        ({"temperatures": {"no_such_task": 1}}, "temperatures: no_such_task"),
        ({"default_tasks": []}, "default_tasks"),
        ({"default_tasks": ["no_such_task"]}, "default_tasks: no_such_task"),
        ({"limits": {"body_bytes": 0}}, "body_bytes"),
        ({"limits": {"body_bytes": 1.5}}, "body_bytes"),
        ({"limits": {"max_tokens": 64}}, "limits: max_tokens"),
        (["thresholds"], ""),
    ],
)
def test_a_wrong_one_is_refused_with_one_line_that_names_the_key(user_config: Any, named: str) -> None:
    with pytest.raises(TuningError) as refused:
        tune(TASKS, Settings(), user_config)
    assert str(refused.value).startswith(named)
    assert "\n" not in str(refused.value)


def test_every_limit_is_a_setting() -> None:
    assert set(Limits.model_fields) < set(Settings.model_fields)


async def test_an_annotator_follows_a_changed_threshold_and_temperature(local: LocalTrip) -> None:
    annotator = Annotator(TASKS, local, Settings())
    texts = [f"line {i}" for i in range(30)]
    pooled = local.pipeline.pooled(texts)
    annotator.tune({"thresholds": {RULED.name: 0.02}, "temperatures": {PLAIN.name: 2.0}})
    answer = await annotator(texts)
    plain, ruled = answer.scores(PLAIN), answer.scores(RULED)
    np.testing.assert_array_equal(plain, local.pipeline.heads[PLAIN.name].probabilities(pooled, 2.0))
    raw = answer.scores(RULED, raw=True)
    assert RULED.rule
    column = RULED.labels.index(RULED.rule.drop_below.label)
    np.testing.assert_array_equal(ruled[:, column] == 0, raw[:, column] < 0.02)
    assert (ruled[:, column] == 0).sum() < (local.pipeline.heads[RULED.name](pooled)[:, column] == 0).sum()


async def test_changes_under_traffic_fail_no_request_and_tear_none_apart(local: LocalTrip) -> None:
    annotator = Annotator(TASKS, local, Settings(batch_utterances=4))

    async def ask(number: int) -> None:
        answer = await annotator([f"line {number}"])
        raw, ruled = answer.scores(RULED, raw=True), answer.scores(RULED)
        (in_force,) = (part.batch.tasks for part in answer.parts)
        assert RULED.rule
        dropped = raw[0, RULED.labels.index(RULED.rule.drop_below.label)] < threshold_of(in_force)
        assert (ruled[0, RULED.labels.index(RULED.rule.drop_below.label)] == 0) == dropped

    async def change() -> None:
        for threshold in np.linspace(0.05, 0.95, 30):
            annotator.tune({"thresholds": {RULED.name: float(threshold)}})
            await asyncio.sleep(0)

    async with asyncio.TaskGroup() as group:
        group.create_task(change())
        for number in range(200):
            group.create_task(ask(number))


class TestReconfigure:
    """What Serve calls."""

    @pytest.fixture
    def ingress(self, local: LocalTrip) -> Any:
        ingress = object.__new__(
            cast(Any, Ingress).func_or_class.__wrapped__
        )  # its __init__ wants the other deployments
        ingress._annotator = Annotator(TASKS, local, Settings())
        ingress._started = False
        return ingress

    def test_a_replica_does_not_start_with_a_wrong_one(self, ingress: Any) -> None:
        with pytest.raises(TuningError, match="no_such_task"):
            ingress.reconfigure({"default_tasks": ["no_such_task"]})

    def test_a_replica_that_runs_keeps_the_one_before_and_says_so(
        self, ingress: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        ingress.reconfigure({"thresholds": {RULED.name: 0.3}})
        ingress.check_health()
        ingress.reconfigure({"thresholds": {RULED.name: 3}})
        assert threshold_of(ingress._annotator.tuned.tasks) == 0.3
        assert "refused" in caplog.text
        ingress.reconfigure({})
        assert threshold_of(ingress._annotator.tuned.tasks) == 0.5
