from pathlib import Path

import pytest
import torch
from torch.nn import functional

from graph.tokenizer import Tokenizer
from tests.tiny import MARKED, TASKS, tiny_recipe
from training.data import Row, draw, read_training_rows
from training.loss import label_loss, marked_loss, teacher_loss
from training.model import MultitaskModel, build_model

POOLED = torch.randn(4, 16, generator=torch.Generator().manual_seed(1))
NO_MARKS = torch.empty(4, 0, dtype=torch.int64)
ROWS = [[Row("a", 0, "x")] * 8 + [Row("b", 1, "x")] * 2, [Row("c", 2, "x")] * 5]


@pytest.fixture
def model(tiny_base: Path) -> MultitaskModel:
    torch.manual_seed(1)
    return build_model(TASKS, tiny_recipe(tiny_base)).eval()


def test_the_loss_is_the_mean_over_rows_each_by_its_own_tasks_head(model: MultitaskModel, tiny_base: Path) -> None:
    tasks, labels = torch.tensor([1, 0, 0, 1]), torch.tensor([2, 1, 0, 0])
    by_hand = [
        functional.cross_entropy(model.heads[t](POOLED[i]), labels[i], label_smoothing=0.1)
        for i, t in enumerate(tasks.tolist())
    ]
    loss = label_loss(TASKS, ROWS, tiny_recipe(tiny_base, label_smoothing=0.1))(model, POOLED, tasks, labels, NO_MARKS)
    assert loss.item() == pytest.approx(sum(part.item() for part in by_hand) / 4, rel=1e-5)


def test_a_task_weighs_what_the_recipe_says(model: MultitaskModel, tiny_base: Path) -> None:
    tasks, labels = torch.tensor([1, 1, 1, 1]), torch.tensor([2, 1, 0, 0])
    plain = label_loss(TASKS, ROWS, tiny_recipe(tiny_base))(model, POOLED, tasks, labels, NO_MARKS)
    weighted = label_loss(TASKS, ROWS, tiny_recipe(tiny_base, task_weights={TASKS[1].name: 2.5}))
    assert weighted(model, POOLED, tasks, labels, NO_MARKS).item() == pytest.approx(2.5 * plain.item(), rel=1e-5)


def test_rare_classes_weigh_more_and_rows_one_on_average(tiny_base: Path) -> None:
    weights = label_loss(TASKS, ROWS, tiny_recipe(tiny_base, class_weights=1.0)).class_weights[0]
    assert weights[1].item() == pytest.approx(4 * weights[0].item())
    assert 8 * weights[0].item() + 2 * weights[1].item() == pytest.approx(10)
    even = label_loss(TASKS, ROWS, tiny_recipe(tiny_base)).class_weights[0]
    assert even.tolist() == [1, 1, 1]


def test_a_teacher_of_the_same_opinion_costs_nothing_and_any_other_something(model: MultitaskModel) -> None:
    same = torch.cat([functional.log_softmax(head(POOLED), dim=1) for head in model.heads], dim=1)
    assert teacher_loss(model, POOLED, same, temperature=2.0).item() == pytest.approx(0, abs=1e-6)
    assert teacher_loss(model, POOLED, same.flip(0), temperature=2.0).item() > 0.01


def test_a_teacher_has_no_say_where_it_is_not_asked(model: MultitaskModel) -> None:
    theirs = torch.randn(4, sum(len(task.labels) for task in TASKS), generator=torch.Generator().manual_seed(2))
    theirs = torch.cat(
        [part.log_softmax(1) for part in torch.split(theirs, [len(task.labels) for task in TASKS], 1)], dim=1
    )
    classes = len(TASKS[0].labels)
    unasked = theirs.clone()
    unasked[1, :classes] = torch.nan
    elsewhere = unasked.clone()
    elsewhere[1, classes:] = torch.nan
    loss, less, least = (teacher_loss(model, POOLED, each, 1.0).item() for each in (theirs, unasked, elsewhere))
    assert loss > less > least > 0

    torch.autograd.backward(teacher_loss(model, POOLED[1:2], elsewhere[1:2], 1.0))  # a batch in which nothing is asked
    torch.autograd.backward(teacher_loss(model, POOLED, elsewhere, 1.0))
    gradients = [parameter.grad for parameter in model.heads.parameters()]
    assert all(gradient is not None and gradient.isfinite().all() for gradient in gradients)

    ours = torch.cat([functional.log_softmax(head(POOLED), dim=1) for head in model.heads], dim=1)
    distance = (theirs[1, :classes].exp() * (theirs - ours)[1, :classes]).sum().item()
    assert loss - less == pytest.approx(distance / (len(POOLED) * len(TASKS)), rel=1e-4)


def test_training_on_a_few_rows_brings_the_loss_down(model: MultitaskModel, tiny_base: Path, tiny_data: Path) -> None:
    recipe = tiny_recipe(tiny_base, label_smoothing=0.0)
    rows = [some[:6] for some in read_training_rows(tiny_data, TASKS, recipe)]
    epoch = draw(rows, TASKS, Tokenizer(tiny_base / "tokenizer.json"), recipe, epoch=0)
    measure = label_loss(TASKS, rows, recipe)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)

    def epoch_loss() -> float:
        total = 0.0
        for number in range(len(epoch.batches)):
            batch = epoch.batch(number)
            ids, mask, *truth = map(torch.from_numpy, (batch.ids, batch.mask, batch.tasks, batch.labels, batch.marks))
            loss = measure(model, model(ids, mask), *truth)
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()
            total += loss.item()
        return total

    losses = [epoch_loss() for _ in range(25)]
    assert losses[-1] < 0.4 * losses[0]


def test_marks_that_nobody_asked_for_do_not_count() -> None:
    logits = torch.tensor([[1.0, -2.0, 5.0], [0.5, 3.0, -1.0]])
    marks = torch.tensor([[1, 0, -1], [-1, 1, -1]])
    by_hand = [
        functional.binary_cross_entropy_with_logits(logits[i, j], torch.tensor(truth))
        for i, j, truth in ((0, 0, 1.0), (0, 1, 0.0), (1, 1, 1.0))
    ]
    expected = 2 * sum(part.item() for part in by_hand) / 3
    assert marked_loss(logits, marks).item() == pytest.approx(expected, rel=1e-5)
    assert marked_loss(logits, torch.full((2, 3), -1)).item() == 0


def test_a_row_of_kind_multi_is_scored_by_its_marks(tiny_base: Path) -> None:
    tasks = (TASKS[0], MARKED)
    model = build_model(tasks, tiny_recipe(tiny_base)).eval()
    loss = label_loss(tasks, ROWS, tiny_recipe(tiny_base, label_smoothing=0.0))
    which, labels = torch.tensor([0, 1, 1, 0]), torch.tensor([1, 0, 3, 2])
    marks = torch.tensor([[-1, -1, -1], [1, 0, 1], [0, -1, 0], [-1, -1, -1]])
    single = functional.cross_entropy(model.heads[0](POOLED[[0, 3]]), labels[[0, 3]], reduction="sum")
    multi = marked_loss(model.heads[1](POOLED[[1, 2]]), marks[[1, 2]])
    assert loss(model, POOLED, which, labels, marks).item() == pytest.approx((single + multi).item() / 4, rel=1e-5)
