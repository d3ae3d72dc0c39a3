# The service on one machine, and the image of every node of a Ray cluster: docs/deployment.md.
FROM python:3.11-slim-bookworm AS base

FROM base AS install
WORKDIR /app
# Only what decides the dependencies, so that a change of code does not install them again. Editable: of the packages
# the install notes the folders alone, which may be empty here, and the code in /app is what runs.
COPY pyproject.toml constraints.txt ./
RUN python -c "import pathlib, tomllib; \
        names = tomllib.loads(pathlib.Path('pyproject.toml').read_text())['tool']['setuptools']['packages']; \
        [pathlib.Path(*name.split('.')).mkdir(parents=True, exist_ok=True) for name in names]" \
    && touch README.md \
    && pip install --no-cache-dir --prefix=/installed --constraint constraints.txt --editable .

FROM base
# As process 1 tini hands signals on and takes in what Ray's processes leave behind. No version: Debian's mirrors keep
# only the newest of a release.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends tini \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --uid 1000 --create-home annotator \
    && install --directory --owner annotator /app/runs
WORKDIR /app
# Into the system's own Python: KubeRay starts Ray from a login shell, whose PATH knows no virtual environment.
COPY --from=install /installed /usr/local
COPY . .
USER 1000
# HTTP on all interfaces of the container: who reaches them is said where it is run.
ENV ANNOTATOR_HTTP_HOST=0.0.0.0 \
    PYTHONUNBUFFERED=1 \
    RAY_USAGE_STATS_ENABLED=0
EXPOSE 8000
# Ready is: a real utterance has just gone through the whole graph.
HEALTHCHECK --interval=30s --timeout=10s --start-period=120s --retries=3 \
    CMD ["python", "-m", "serving.lifecycle.health"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["tini", "--"]
# All in one deployment: for one machine. Another placement: another file.
CMD ["python", "-m", "serving.lifecycle.launch", "configs/serve/fused.yaml"]
