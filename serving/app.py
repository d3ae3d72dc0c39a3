"""The application for Serve: `serving.app:build` takes the settings, `serving.app:app` has the default ones.

serve run serve_config.yaml
serve run serving.app:build runtime=torch
serve build serving.app:app
"""

from typing import Any

from ray.serve import Application, Deployment

from graph.model_directory import ModelDirectory
from serving import stages, trips
from serving.ingress import Ingress
from serving.settings import Settings


def build(settings: Settings) -> Application:
    """Bind the ingress and what the placement deploys besides it.

    Raises:
        GraphError: the model directory or the task file cannot be used; nothing is deployed then.
    """
    model = ModelDirectory.open(settings.model_path, settings.tasks_path)
    model.verify()
    deployments: dict[str, Application] = {}
    if settings.placement == "packed":
        deployments[trips.ENCODER_AND_HEADS] = _bind(stages.EncoderAndHeadsStage, trips.ENCODER_AND_HEADS, settings)
    if settings.placement == "split":
        deployments[trips.TOKENIZER] = _bind(stages.TokenizerStage, trips.TOKENIZER, settings)
        deployments[trips.ENCODER] = _bind(stages.EncoderStage, trips.ENCODER, settings)
        for task in model.tasks:
            name = trips.head_name(task.name)
            deployments[name] = _bind(stages.HeadStage, name, settings, task.name)
    return _bind(Ingress, "Ingress", settings, deployments)


def _bind(stage: Any, name: str, *arguments: object) -> Application:
    deployment: Deployment = stage.options(name=name)
    return deployment.bind(*arguments)


def __getattr__(name: str) -> Application:
    """`app` is built when it is asked for: who imports this module for `build` may have no default model."""
    if name == "app":
        return build(Settings())
    raise AttributeError(name)
