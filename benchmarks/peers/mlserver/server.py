"""A custom runtime of MLServer: BYTES in, a tensor a task out. Joining requests is set in model-settings.json."""

import numpy as np
from mlserver import MLModel
from mlserver.codecs import NumpyCodec, StringCodec
from mlserver.types import InferenceRequest, InferenceResponse

from benchmarks.peers import model
from graph.pipeline import Pipeline


class Annotator(MLModel):
    """The shipped model."""

    pipeline: Pipeline

    async def load(self) -> bool:
        """Once a worker."""
        self.pipeline = model.load(threads=1)
        return True

    async def predict(self, payload: InferenceRequest) -> InferenceResponse:
        """All utterances of the joined requests; MLServer gives each request its own rows."""
        texts = StringCodec.decode_input(payload.inputs[0])
        scores = self.pipeline.probabilities(texts)
        outputs = [
            NumpyCodec.encode_output(name, np.round(of_task.astype(np.float64), 2)) for name, of_task in scores.items()
        ]
        return InferenceResponse(model_name=self.name, outputs=outputs)
