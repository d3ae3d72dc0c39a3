import pickle
from typing import Any

import pytest
from ray.exceptions import RayTaskError

from serving.errors import Overloaded
from serving.observability.discreet import StageFailed, discreet, kind_and_place

SECRET = "what a user said"


def stage() -> None:
    raise ValueError(f"cannot compute {SECRET!r}")


def failure() -> StageFailed:
    with pytest.raises(StageFailed) as failed, discreet():
        stage()
    return failed.value


def test_a_stage_s_error_says_what_and_where_but_nothing_that_it_was_given() -> None:
    error = failure()
    assert str(error).startswith("ValueError at tests/serving/observability/test_discreet.py:")
    assert error.__cause__ is None
    assert error.__suppress_context__
    assert SECRET not in repr(pickle.loads(pickle.dumps(error)))


def test_an_error_that_is_made_for_clients_stays_what_it_is() -> None:
    with pytest.raises(Overloaded, match="too much"), discreet():
        raise Overloaded("too much")


def test_what_another_process_raised_is_told_as_it_was_told_there() -> None:
    error = failure()
    task_error: Any = RayTaskError
    travelled = task_error("Encoder", f"Traceback with {SECRET}", error).as_instanceof_cause()
    assert kind_and_place(travelled) == str(error)


def test_an_error_from_outside_of_the_project_has_a_kind_and_no_place() -> None:
    assert kind_and_place(KeyError(SECRET)) == "KeyError"
