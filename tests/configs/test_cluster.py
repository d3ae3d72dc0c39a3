"""The manifest for KubeRay and the Serve config in it agree with each other and with the service."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml
from ray.scripts.scripts import drain_node
from ray.serve._private.constants import RAY_SERVE_DIRECT_INGRESS_MIN_DRAINING_PERIOD_S as DRAIN_SECONDS
from ray.serve.schema import ServeDeploySchema

from serving.lifecycle.launch import FAST_MODE, FRONT_END, LARGE, LEVEL, NARROWED, PATIENT, SOON
from serving.settings import PROJECT, Settings

CONFIG = yaml.safe_load((PROJECT / "configs" / "serve" / "cluster.yaml").read_text("utf-8"))
SERVICE, BUDGET, POLICY = yaml.safe_load_all(
    (PROJECT / "configs" / "cluster" / "rayservice.yaml").read_text("utf-8"),
)
CLUSTER = SERVICE["spec"]["rayClusterConfig"]
HEAD = CLUSTER["headGroupSpec"]
(WORKERS,) = CLUSTER["workerGroupSpecs"]
# As on one machine, but for what ends cluster traffic at the loopback; programs lie where the image has them.
ENVIRONMENT = (
    FAST_MODE
    | FRONT_END
    | SOON
    | PATIENT
    | LARGE
    | LEVEL
    | {
        "RAY_SERVE_HAPROXY_BINARY_PATH": "/usr/local/bin/" + Path(NARROWED["RAY_SERVE_HAPROXY_BINARY_PATH"]).name,
        "RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH": NARROWED["RAY_SERVE_HTTP_PROXY_CALLBACK_IMPORT_PATH"],
    }
)


def deployment(name: str) -> dict[str, Any]:
    (found,) = [d for d in CONFIG["applications"][0]["deployments"] if d["name"] == name]
    config: dict[str, Any] = found
    return config


def container(group: dict[str, Any]) -> dict[str, Any]:
    (only,) = group["template"]["spec"]["containers"]
    spec: dict[str, Any] = only
    return spec


def test_serve_takes_the_config() -> None:
    ServeDeploySchema.model_validate(CONFIG)
    Settings.model_validate(CONFIG["applications"][0]["args"])


def test_the_manifest_deploys_exactly_this_config() -> None:
    assert yaml.safe_load(SERVICE["spec"]["serveConfigV2"]) == CONFIG


def test_a_node_has_a_core_for_every_replica_that_may_run_there() -> None:
    ingress, encoder = deployment("Ingress"), deployment("EncoderAndHeads")
    wanted = sum(d["max_replicas_per_node"] * d["ray_actor_options"]["num_cpus"] for d in (ingress, encoder))
    resources = container(WORKERS)["resources"]
    assert float(resources["limits"]["cpu"]) == float(resources["requests"]["cpu"]) == wanted


def test_pods_for_the_least_and_the_most_replicas() -> None:
    for name in ("Ingress", "EncoderAndHeads"):
        scaling, a_node = deployment(name)["autoscaling_config"], deployment(name)["max_replicas_per_node"]
        assert WORKERS["minReplicas"] * a_node >= scaling["min_replicas"] >= 2
        assert WORKERS["maxReplicas"] * a_node == scaling["max_replicas"]


def test_an_ingress_has_enough_batches_in_flight_to_want_all_encoders_of_its_node() -> None:
    encoder = deployment("EncoderAndHeads")
    slots = CONFIG["applications"][0]["args"]["batches_in_flight"]
    assert slots > encoder["autoscaling_config"]["target_ongoing_requests"] * encoder["max_replicas_per_node"]


@pytest.mark.parametrize("group", [HEAD, WORKERS], ids=["head", "workers"])
def test_a_pod(group: dict[str, Any]) -> None:
    spec = container(group)
    assert spec["image"] == container(HEAD)["image"]
    assert {variable["name"]: variable["value"] for variable in spec["env"]} == ENVIRONMENT
    assert not group["template"]["spec"]["enableServiceLinks"]
    ports = {port["name"]: port["containerPort"] for port in spec["ports"]}
    assert ports["serve"] == CONFIG["http_options"]["port"]
    assert group["template"]["spec"]["securityContext"]["runAsNonRoot"]


def test_no_replica_runs_on_the_head() -> None:
    assert HEAD["rayStartParams"]["num-cpus"] == "0"
    assert SERVICE["spec"]["excludeHeadPodFromServeSvc"]


def test_the_cluster_scales() -> None:
    assert CLUSTER["enableInTreeAutoscaling"]
    assert CLUSTER["autoscalerOptions"]["version"] == "v2"


def test_the_ray_of_the_manifest_is_the_one_that_is_installed() -> None:
    pins = (PROJECT / "constraints.txt").read_text("utf-8").splitlines()
    assert f"ray=={CLUSTER['rayVersion']}" in pins


def test_a_pod_that_leaves_drains_its_node_and_waits_until_replicas_are_done() -> None:
    bash, flag, script = container(WORKERS)["lifecycle"]["preStop"]["exec"]["command"]
    assert (bash, flag) == ("/bin/bash", "-c")
    drain, wait = script.split(";")
    ray, command, *options = shlex.split(drain)
    assert (ray, command) == ("ray", drain_node.name)
    given = drain_node.make_context(command, options).params  # raises for what Ray does not know
    waits = int(wait.removeprefix(" sleep "))
    assert given["node_id"] is None  # the node where it runs
    assert given["deadline_remaining_seconds"] == waits
    slowest = max(d["graceful_shutdown_timeout_s"] for d in CONFIG["applications"][0]["deployments"])
    assert slowest < waits < WORKERS["template"]["spec"]["terminationGracePeriodSeconds"]


def test_an_ingress_that_leaves_has_time_to_be_forgotten_and_to_answer() -> None:
    deadline_seconds = Settings.model_validate(CONFIG["applications"][0]["args"]).deadline_seconds
    assert deployment("Ingress")["graceful_shutdown_timeout_s"] > DRAIN_SECONDS + deadline_seconds


def test_the_budget_is_for_workers_and_leaves_one() -> None:
    selector = BUDGET["spec"]["selector"]["matchLabels"].items()
    assert selector <= WORKERS["template"]["metadata"]["labels"].items()
    assert not selector <= HEAD["template"]["metadata"]["labels"].items()
    assert 1 <= BUDGET["spec"]["minAvailable"] < WORKERS["minReplicas"]


def test_the_policy_is_for_all_pods_and_opens_http_to_all_and_nothing_else() -> None:
    selector = POLICY["spec"]["podSelector"]["matchLabels"].items()
    for group in (HEAD, WORKERS):
        assert selector <= group["template"]["metadata"]["labels"].items()
    for_all = [rule for rule in POLICY["spec"]["ingress"] if "from" not in rule]
    assert for_all == [{"ports": [{"port": CONFIG["http_options"]["port"]}]}]


def test_names_and_image_are_those_of_the_project() -> None:
    version = re.search(r'^version = "(.*)"', (PROJECT / "pyproject.toml").read_text("utf-8"), re.MULTILINE)
    assert version is not None
    assert container(HEAD)["image"] == f"annotator:{version[1]}"
