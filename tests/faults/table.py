"""Prints what the fault tests measured: python -m tests.faults.table."""

import json

from tests.faults.conftest import TABLE


def main() -> None:
    """As a table of docs/operations.md."""
    print("| fault | measured |\n| --- | --- |")
    for fault, measured in json.loads(TABLE.read_text("utf-8")).items():
        print(f"| {fault} | {measured} |")


if __name__ == "__main__":
    main()
