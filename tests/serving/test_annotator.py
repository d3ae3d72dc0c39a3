import asyncio
import json
from collections.abc import Sequence

import numpy as np
import pytest

from graph.tokenizer import TokenBatch
from serving.annotator import Annotator
from serving.answer import Answer
from serving.errors import AnnotationFailed, DeadlineExceeded, InvalidField, Overloaded, Unavailable
from serving.settings import Settings
from tests.serving.local import POISON, LocalTrip


def annotator_of(local: LocalTrip, settings: Settings | None = None) -> Annotator:
    return Annotator(local.pipeline.tasks, local, settings or Settings())


async def test_the_answers_are_those_of_the_pipeline(local: LocalTrip) -> None:
    annotator = annotator_of(local)
    requests = [[f"line {i} {j}" for j in range(i % 4)] for i in range(30)]
    answers = await asyncio.gather(*(annotator(request) for request in requests))
    for request, answer in zip(requests, answers, strict=True):
        expected = local.pipeline(request)
        annotations = json.loads(answer.rounded())
        assert [list(a) for a in annotations] == [list(e) for e in expected]
        for annotation, exact in zip(annotations, expected, strict=True):
            for task, scores in exact.items():
                assert list(annotation[task]) == list(scores)
                assert annotation[task] == pytest.approx(scores, abs=0.0051)
    assert len(local.batches) < len(requests)  # they travelled together


async def test_a_long_request_is_cut_into_batches_and_comes_back_in_order(local: LocalTrip) -> None:
    settings = Settings(batch_utterances=8, batches_in_flight=2)
    texts = [f"utterance number {i}" for i in range(50)]
    annotations = json.loads((await annotator_of(local, settings)(texts)).rounded())
    assert max(len(batch) for batch in local.batches) <= 8
    assert len(annotations) == 50
    scores = local.pipeline(texts)
    for annotation, exact in zip(annotations, scores, strict=True):
        for task in exact:
            assert annotation[task] == pytest.approx(exact[task], abs=0.0051)


async def test_a_request_that_is_worth_it_takes_every_slot(local: LocalTrip) -> None:
    annotator = annotator_of(local, Settings(batch_utterances=64, batches_in_flight=2))
    await annotator([f"utterance number {i}" for i in range(2 * local.least)])
    assert [len(batch) for batch in local.batches] == [local.least] * 2
    local.batches.clear()
    await annotator([f"utterance number {i}" for i in range(2 * local.least - 1)])
    assert len(local.batches) == 1


async def test_a_request_longer_than_what_may_wait_is_taken_when_nothing_waits(local: LocalTrip) -> None:
    annotator = annotator_of(local, Settings(waiting_utterances=20, batches_in_flight=2))
    for length in (24, 65, 130):
        assert len((await annotator([f"utterance number {i}" for i in range(length)])).tokens) == length


async def test_tokens_are_counted_in_one_call_a_batch(local: LocalTrip, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    async def tokenize(texts: Sequence[str]) -> TokenBatch:
        calls.append(len(texts))
        return local.pipeline.tokenizer(texts)

    monkeypatch.setattr(local, "tokenize", tokenize)
    annotator = annotator_of(local, Settings(batch_utterances=64, batches_in_flight=2))
    assert len(await annotator.count_tokens(["one"] * 100)) == 100
    assert calls == [50, 50]


async def test_a_short_request_does_not_wait_for_all_of_a_long_one(local: LocalTrip) -> None:
    annotator = annotator_of(local, Settings(batch_utterances=4, batches_in_flight=1))
    long = asyncio.create_task(annotator([f"long {i}" for i in range(200)]))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    await annotator(["short"])
    assert not long.done()
    assert len((await long).tokens) == 200


async def test_poison_harms_nobody_else(local: LocalTrip) -> None:
    annotator = annotator_of(local)
    requests = [["good", f"line {i}"] if i != 5 else ["fine", POISON] for i in range(12)]
    answers = await asyncio.gather(*(annotator(request) for request in requests), return_exceptions=True)
    for i, answer in enumerate(answers):
        if i == 5:
            assert isinstance(answer, AnnotationFailed)
            assert POISON not in str(answer)
        else:
            assert isinstance(answer, Answer)
            assert len(answer.tokens) == 2


async def test_a_failure_is_logged_without_the_utterance(local: LocalTrip, caplog: pytest.LogCaptureFixture) -> None:
    with pytest.raises(AnnotationFailed):
        await annotator_of(local)([POISON])
    assert "could not be annotated: ValueError at tests/serving/local.py" in caplog.text
    assert POISON not in caplog.text


async def test_a_replica_that_dies_costs_nothing_when_the_second_trip_succeeds(local: LocalTrip) -> None:
    local.deaths = 1
    assert len((await annotator_of(local)(["hello"])).tokens) == 1


async def test_a_graph_that_stays_dead_is_unavailable(local: LocalTrip) -> None:
    local.deaths = 2
    with pytest.raises(Unavailable):
        await annotator_of(local)(["hello"])


async def test_a_batch_that_does_not_come_back_is_unavailable(local: LocalTrip) -> None:
    local.hang = True
    with pytest.raises(Unavailable):
        await annotator_of(local, Settings(answer_seconds=0.05))(["hello"])


async def test_too_much_at_once_is_refused(local: LocalTrip) -> None:
    annotator = annotator_of(local, Settings(batch_utterances=1, batches_in_flight=1, waiting_utterances=2))
    answers = await asyncio.gather(*(annotator(["hello"]) for _ in range(10)), return_exceptions=True)
    assert any(isinstance(answer, Overloaded) for answer in answers)
    assert any(isinstance(answer, Answer) for answer in answers)


async def test_nothing_asked_nothing_computed(local: LocalTrip) -> None:
    assert (await annotator_of(local)([])).rounded() == "[]"
    assert local.batches == []


async def test_only_the_heads_asked_for_are_computed(local: LocalTrip) -> None:
    annotator = annotator_of(local)
    names = [task.name for task in annotator.tuned.tasks]
    answer = await annotator(["hello"], [names[3], names[1]])
    assert local.heads == [[names[1], names[3]]]
    assert [task.name for task in answer.tasks] == [names[1], names[3]]


async def test_a_mixed_batch_computes_the_union_and_everybody_gets_what_they_asked_for(local: LocalTrip) -> None:
    annotator = annotator_of(local)
    tasks = annotator.tuned.tasks
    few, other = await asyncio.gather(annotator(["a", "b"], [tasks[4].name]), annotator(["c"], [tasks[0].name]))
    assert local.heads == [[tasks[0].name, tasks[4].name]]
    assert few.tasks == (tasks[4],)
    assert other.tasks == (tasks[0],)
    expected = local.pipeline.probabilities(["a", "b", "c"])
    np.testing.assert_array_equal(few.scores(tasks[4]), expected[tasks[4].name][:2])
    np.testing.assert_array_equal(other.scores(tasks[0]), expected[tasks[0].name][2:])


async def test_the_answer_says_where_its_time_went(local: LocalTrip) -> None:
    answer = await annotator_of(local, Settings(batch_utterances=2))(["a", "b", "c"])
    assert len(answer.seconds) == 2
    for seconds in answer.seconds:
        assert set(seconds) == {"queue", "tokenize", "encode", "heads"}
        assert all(duration >= 0 for duration in seconds.values())


async def test_a_deadline_ends_the_waiting_and_what_still_waits_is_not_computed(local: LocalTrip) -> None:
    local.hang = True
    annotator = annotator_of(local, Settings(deadline_seconds=0.05, batches_in_flight=1, batch_utterances=1))
    answers = await asyncio.gather(*(annotator([f"line {i}"]) for i in range(5)), return_exceptions=True)
    assert all(isinstance(answer, DeadlineExceeded) for answer in answers)
    assert local.batches == [["line 0"]]
    local.hang = False
    assert len((await annotator(["after"])).tokens) == 1


async def test_counting_for_many_requests_takes_few_calls_and_has_a_limit(
    local: LocalTrip, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    async def tokenize(texts: Sequence[str]) -> TokenBatch:
        calls.append(len(texts))
        await asyncio.sleep(0)
        return local.pipeline.tokenizer(texts)

    monkeypatch.setattr(local, "tokenize", tokenize)
    annotator = annotator_of(local, Settings(batch_utterances=8, batches_in_flight=1, waiting_utterances=20))
    requests = [["one", "two two"]] * 15
    counts = await asyncio.gather(*map(annotator.count_tokens, requests), return_exceptions=True)
    counted = [count for count in counts if isinstance(count, np.ndarray)]
    assert len(calls) < len(counted)
    for count in counted:
        assert count.tolist() == local.pipeline.tokenizer(["one", "two two"]).uncut.tolist()
    assert {type(count) for count in counts} == {np.ndarray, Overloaded}


async def test_counting_and_annotating_share_a_deadline(local: LocalTrip, monkeypatch: pytest.MonkeyPatch) -> None:
    async def tokenize(texts: Sequence[str]) -> TokenBatch:
        await asyncio.sleep(0.2)
        local.hang = True
        return local.pipeline.tokenizer(texts)

    monkeypatch.setattr(local, "tokenize", tokenize)
    annotator = annotator_of(local, Settings(deadline_seconds=0.3))

    async def count_and_annotate() -> None:
        async with annotator.deadline():
            await annotator.count_tokens(["hello"])
            await annotator(["hello"])

    began = asyncio.get_running_loop().time()
    with pytest.raises(DeadlineExceeded):
        await count_and_annotate()
    assert asyncio.get_running_loop().time() - began < 0.45


async def test_tokens_are_counted_without_a_trip_and_with_its_patience(local: LocalTrip) -> None:
    annotator = annotator_of(local, Settings(batch_utterances=2))
    texts = ["hello", "", "word " * 80, "a b"]
    local.deaths = 1
    assert (await annotator.count_tokens(texts)).tolist() == local.pipeline.tokenizer(texts).uncut.tolist()
    assert (await annotator.count_tokens([])).tolist() == []
    with pytest.raises(AnnotationFailed):
        await annotator.count_tokens([POISON])
    local.hang = True
    with pytest.raises(Unavailable):
        await annotator_of(local, Settings(answer_seconds=0.05)).count_tokens(texts)
    assert local.batches == []


@pytest.mark.parametrize("texts", [["hi"] * 4, ["hi", "x" * 11]])
async def test_too_many_or_too_long_is_refused(local: LocalTrip, texts: list[str]) -> None:
    annotator = annotator_of(local, Settings(request_utterances=3, utterance_characters=10))
    with pytest.raises(InvalidField, match="utterance"):
        await annotator(texts)
    assert local.batches == []
