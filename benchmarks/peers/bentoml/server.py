"""A worker a core, each with an endpoint whose calls BentoML joins."""

import bentoml

from benchmarks.peers import model
from graph.merge import Annotation


@bentoml.service(workers="cpu_count", traffic={"timeout": 60}, logging={"access": {"enabled": False}})
class Annotator:
    """The shipped model."""

    def __init__(self) -> None:
        self.pipeline = model.load(threads=1)

    @bentoml.api(batchable=True, batch_dim=0, max_batch_size=64, route="/model")
    def annotate(self, sentences: list[str]) -> list[Annotation]:
        """The utterances of several requests; BentoML gives each request its own."""
        return model.rounded(self.pipeline(sentences))
