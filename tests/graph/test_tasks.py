from pathlib import Path

import pytest

from graph.errors import TasksError
from graph.tasks import DropBelow, Rule, load_tasks
from tests import TASKS_FILE
from tests.tiny import TASKS, write_tasks

# Clients depend on every name and on its place: this is written out, and not read from anywhere.
CONTRACT = {
    "emotion_classification": "anger fear joy disgust sadness surprise neutral",
    "sentiment_classification": "positive neutral negative",
    "toxic_classification": "identity_hate insult obscene severe_toxic sexual_explicit threat toxic not_toxic",
    "factoid_classification": "is_factoid is_conversational",
    "midas_classification": (
        "open_question_factual open_question_opinion open_question_personal yes_no_question clarifying_question "
        "command dev_command appreciation opinion complaint comment statement other_answers pos_answer neg_answer"
    ),
    "deeppavlov_topics": (
        "Food Books&Literature Music Gadgets Movies&Tv Leisure Beauty Clothes Travel News Art&Hobbies Videogames Job "
        "Home&Design Depression Celebrities&Events Politics Toys&Games Animals&Pets PersonalTransport Garden "
        "Family&Relationships Health&Medicine Religion ArtificialIntelligence Finance Space Disasters "
        "Science&Technology Psychology MassTransit Education Sports"
    ),
    "cobot_topics": (
        "Phatic Other Movies_TV Music SciTech Literature Travel_Geo Celebrities Games Pets_Animals Sports Psychology "
        "Religion Weather_Time Food_Drink Politics Sex_Profanity Art_Event Math News Entertainment Fashion"
    ),
    "cobot_dialogact_topics": (
        "Other Phatic Entertainment_Movies Entertainment_Books Entertainment_General Interactive Entertainment_Music "
        "Science_and_Technology Sports Politics Inappropriate_Content"
    ),
    "cobot_dialogact_intents": (
        "Information_DeliveryIntent General_ChatIntent Information_RequestIntent User_InstructionIntent "
        "InteractiveIntent Opinion_ExpressionIntent OtherIntent ClarificationIntent Topic_SwitchIntent "
        "Opinion_RequestIntent Multiple_GoalsIntent"
    ),
}


def test_the_task_file_is_the_wire_contract() -> None:
    tasks = load_tasks(TASKS_FILE)
    assert [(task.name, task.labels) for task in tasks] == [
        (name, tuple(labels.split())) for name, labels in CONTRACT.items()
    ]
    assert {task.kind for task in tasks} == {"single"}


def test_only_toxicity_has_a_rule() -> None:
    rules = {task.name: task.rule for task in load_tasks(TASKS_FILE) if task.rule}
    assert rules == {"toxic_classification": Rule(drop_below=DropBelow(label="not_toxic", threshold=0.5))}


def test_tasks_come_back_as_they_were_written(tmp_path: Path) -> None:
    write_tasks(tmp_path / "tasks.yaml")
    assert load_tasks(tmp_path / "tasks.yaml") == TASKS


def _one_task(settings: str) -> str:
    return f"tasks: [{{name: a, kind: single, labels: [x, y], {settings}}}]"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("tasks: [", "cannot read"),
        ("\x00", "cannot read"),
        ("", "valid dictionary"),
        ("tasks: []", "at least 1 item"),
        ("tasks: [{name: a, kind: single, labels: [x]}]", "at least 2 items"),
        ("tasks: [{name: a, kind: single, labels: [x, y, x]}]", "task a names a label twice"),
        ("tasks: [{name: a b, kind: single, labels: [x, y]}]", "tasks.0.name"),
        ("tasks: [{name: a, kind: many, labels: [x, y]}]", "tasks.0.kind"),
        (
            "tasks: [{name: a, kind: single, labels: [x, y]}, {name: a, kind: multi, labels: [x, z]}]",
            "two tasks have the same name",
        ),
        (_one_task("rule: {drop_below: {label: z, threshold: 0.5}}"), "task a: drop_below names no label"),
        (_one_task("rule: {drop_below: {label: x, threshold: 1.5}}"), "threshold"),
        (_one_task("rule: {raise_above: {label: x}}"), "tasks.0.rule"),
        (
            "tasks: [{name: a, kind: multi, labels: [x, y], rule: {drop_below: {label: x, threshold: 0.5}}}]",
            "drop_below needs kind single",
        ),
        (_one_task("colour: red"), "tasks.0.colour"),
        (_one_task("").replace("tasks", "tusks"), "tasks: Field required"),
    ],
)
def test_a_wrong_task_file_is_refused_in_one_line(tmp_path: Path, text: str, says: str) -> None:
    path = tmp_path / "tasks.yaml"
    path.write_text(text, "utf-8")
    _assert_refused(path, says)


def test_a_missing_task_file_is_refused_in_one_line(tmp_path: Path) -> None:
    _assert_refused(tmp_path / "tasks.yaml", "No such file")


def test_a_task_file_that_is_not_text_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "tasks.yaml").write_bytes(b"tasks: \xff")
    _assert_refused(tmp_path / "tasks.yaml", "cannot read")


def _assert_refused(path: Path, says: str) -> None:
    with pytest.raises(TasksError) as caught:
        load_tasks(path)
    message = str(caught.value)
    assert str(path) in message
    assert says in message
    assert "\n" not in message
