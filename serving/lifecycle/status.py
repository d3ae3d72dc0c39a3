"""`make status`: what Serve says of the service that runs here, as `serve status` would print it.

    python -m serving.lifecycle.status

`serve status` itself asks Ray's dashboard, which `make serve` starts only when it is told to.
"""

import sys

import yaml

from serving.lifecycle.application import status
from serving.lifecycle.cluster import connect
from serving.lifecycle.preflight import StartError


def main() -> int:
    """Print applications, deployments, numbers of replicas, and what each has to say; returns the exit status."""
    try:
        connect()
    except StartError as error:
        print(error, file=sys.stderr)
        return 1
    print(yaml.safe_dump(status(), sort_keys=False), end="")
    return 0


if __name__ == "__main__":
    sys.exit(main())
