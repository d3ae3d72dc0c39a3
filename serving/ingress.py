"""The deployment that HTTP reaches: the routes of http.py over an `Annotator` whose stages are other deployments."""

from collections.abc import Mapping
from typing import Any

from ray import serve
from ray.serve.handle import DeploymentHandle
from starlette.applications import Starlette

from graph.tasks import load_tasks
from serving.annotator import Annotator, Stages
from serving.http import http_app
from serving.settings import Settings


@serve.deployment
@serve.ingress()
class Ingress:
    """Annotates what HTTP brings.

    Args:
        settings: the operator's choices.
        tokenizer: handle of the tokenizer.
        encoder: handle of the encoder.
        heads: handle of each task's head, by task name.
    """

    def __init__(
        self,
        settings: Settings,
        tokenizer: "DeploymentHandle[Any]",
        encoder: "DeploymentHandle[Any]",
        heads: Mapping[str, "DeploymentHandle[Any]"],
    ) -> None:
        stages = Stages(tokenizer.remote, encoder.remote, {task: head.remote for task, head in heads.items()})
        self._annotator = Annotator(load_tasks(settings.tasks_path), stages, settings)
        self._body_bytes = settings.body_bytes

    def __serve_build_asgi_app__(self) -> Starlette:
        """Called by Serve when the replica is built; the name is Serve's."""
        return http_app(self._annotator, self._body_bytes)

    def check_health(self) -> None:
        """Called by Serve; raises when a batch has not come back for too long."""
        self._annotator.check_progress()
