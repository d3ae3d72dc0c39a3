"""The original: DeepPavlov behind Flask and gunicorn."""
