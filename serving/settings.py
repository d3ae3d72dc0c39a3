"""What the operator chooses: environment, then the application's arguments in the Serve config, then the default.

In the environment the names are upper case behind `ANNOTATOR_`: ANNOTATOR_BODY_BYTES=1000000.
"""

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, Field, SecretStr
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from graph.encoder import RuntimeChoice
from graph.tokenizer import DEFAULT_MAX_TOKENS, LEAST_MAX_TOKENS

Placement = Literal["split", "packed", "fused"]

PROJECT = Path(__file__).parent.parent


ENVIRONMENT_PREFIX = "ANNOTATOR_"


class Limits(BaseModel):
    """Those settings that user_config can change while the service runs; see tuning.py."""

    waiting_utterances: int = Field(
        default=4096, ge=1, description="most utterances that wait in an ingress replica; more are refused (503)"
    )
    waiting_seconds: float = Field(
        default=1.0,
        gt=0,
        description="longest expected wait of a request before its batch leaves; longer is refused (503)",
    )
    body_bytes: int = Field(default=8_000_000, ge=1, description="largest request body; a larger one is refused (413)")
    body_seconds: float = Field(default=10.0, gt=0, description="longest time for a body to arrive; then 408")
    request_utterances: int = Field(
        default=4096, ge=1, description="most utterances in a request; more are refused (422)"
    )
    utterance_characters: int = Field(
        default=100_000, ge=1, description="most characters in an utterance; more are refused (422)"
    )
    deadline_seconds: float = Field(
        default=30.0,
        gt=0,
        description="a request that takes longer is given up (504); Serve's own request_timeout_s must be longer than "
        "this and body_seconds together",
    )


class Settings(Limits, BaseSettings):
    """The builder's arguments. Relative paths start at the project's folder."""

    model_config = SettingsConfigDict(
        frozen=True,
        extra="forbid",
        env_prefix=ENVIRONMENT_PREFIX,
        hide_input_in_errors=True,  # it may be a key
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],  # noqa: ARG003, pydantic-settings passes all of these by name
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """The environment goes before what the config says."""
        return env_settings, init_settings

    name: str = Field(
        default="annotator", pattern=r"^[A-Za-z0-9_.-]+$", description="name of the model in answers and paths"
    )
    model: Path = Field(default=Path("models/lite"), description="model directory")
    tasks: Path = Field(default=Path("configs/tasks.yaml"), description="task file")
    placement: Placement = Field(
        default="split", description="split, packed or fused: which stages have deployments of their own (trips.py)"
    )
    runtime: RuntimeChoice = Field(
        default="auto", description="encoder runtime: onnx-int8, onnx, torch, or auto: 8 bits where the model has them"
    )
    max_tokens: int = Field(
        default=DEFAULT_MAX_TOKENS, ge=LEAST_MAX_TOKENS, le=512, description="tokens an utterance; more are cut"
    )
    encoder_threads: int = Field(default=1, ge=1, description="CPU threads of an encoder replica")
    batch_utterances: int = Field(default=64, ge=1, description="most utterances in one trip through the graph")
    batches_in_flight: int = Field(default=2, ge=1, description="trips at once, an ingress replica")
    encoder_batch_tokens: int = Field(default=4096, ge=1, description="most tokens in one run of an encoder replica")
    answer_seconds: float = Field(
        default=10.0, gt=0, description="a batch that takes longer counts as lost, and its replica as unhealthy"
    )

    api_keys: SecretStr = Field(
        default=SecretStr(""), description="API keys, separated by commas; set it in the environment and nowhere else"
    )
    api_keys_file: Path | None = Field(
        default=None, description="file with an API key a line, read again when it changes; without keys all may ask"
    )

    @property
    def model_path(self) -> Path:
        """The model directory, absolute."""
        return PROJECT / self.model

    @property
    def tasks_path(self) -> Path:
        """The task file, absolute."""
        return PROJECT / self.tasks

    @property
    def api_keys_path(self) -> Path | None:
        """The file of API keys, absolute, if there is one."""
        return PROJECT / self.api_keys_file if self.api_keys_file else None
