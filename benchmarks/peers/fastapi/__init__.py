"""FastAPI: a function that computes, run in its thread pool; ONNX Runtime or torch."""
