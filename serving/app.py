"""The application for Serve: `serving.app:build` takes the settings, `serving.app:app` has the default ones.

serve run serve_config.yaml
serve run serving.app:build runtime=torch
serve build serving.app:app
"""

from ray.serve import Application

from graph.model_directory import ModelDirectory
from serving.ingress import Ingress
from serving.settings import Settings
from serving.stages import EncoderStage, HeadStage, TokenizerStage


def build(settings: Settings) -> Application:
    """Bind the graph: ingress, tokenizer, encoder, and a head a task.

    Raises:
        GraphError: the model directory or the task file cannot be used; nothing is deployed then.
    """
    model = ModelDirectory.open(settings.model_path, settings.tasks_path)
    model.verify()
    heads = {
        task.name: HeadStage.options(name=f"Head_{task.name}").bind(settings, task.name)  # type: ignore[attr-defined]
        for task in model.tasks
    }
    application: Application = Ingress.bind(  # type: ignore[attr-defined]
        settings,
        TokenizerStage.options(name="Tokenizer").bind(settings),  # type: ignore[attr-defined]
        EncoderStage.options(name="Encoder").bind(settings),  # type: ignore[attr-defined]
        heads,
    )
    return application


def __getattr__(name: str) -> Application:
    """`app` is built when it is asked for: who imports this module for `build` may have no default model."""
    if name == "app":
        return build(Settings())
    raise AttributeError(name)
