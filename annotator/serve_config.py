"""A Serve config for another model: what `annotator serve --model --tasks` starts."""

from pathlib import Path
from typing import Any

import yaml

from graph.tasks import load_tasks
from serving.settings import Settings
from serving.trips import head_name


def write_config(base: Path, model: Path | None, tasks: Path | None, out: Path) -> Path:
    """Write a copy of a config with another model directory, another task file, or both.

    Where the config names deployments of heads, there is then one for each task, sized as the first was.

    Returns:
        `out`.

    Raises:
        ValueError: `base` is no Serve config.
        OSError: it cannot be read, or `out` not be written.
        GraphError: the task file cannot be used.
    """
    try:
        config: dict[str, Any] = yaml.safe_load(base.read_text("utf-8"))
        applications: list[dict[str, Any]] = config["applications"]
        for application in applications:
            arguments = application.setdefault("args", {})
            arguments |= {"model": str(model.resolve())} if model else {}
            arguments |= {"tasks": str(tasks.resolve())} if tasks else {}
            names = [task.name for task in load_tasks(Settings.model_validate(arguments).tasks_path)]
            application["deployments"] = with_heads(application.get("deployments", []), names)
    except (yaml.YAMLError, KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"{base} is not a Serve config: {error}") from error
    out.write_text(yaml.safe_dump(config, sort_keys=False), "utf-8")
    return out


def with_heads(deployments: list[dict[str, Any]], tasks: list[str]) -> list[dict[str, Any]]:
    """The deployments with one head a task, where there are heads at all; the first is the pattern of all."""
    heads = [entry for entry in deployments if entry["name"].startswith(head_name(""))]
    others = [entry for entry in deployments if entry not in heads]
    return others + ([heads[0] | {"name": head_name(task)} for task in tasks] if heads else [])
