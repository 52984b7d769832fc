"""The files under deploy/: each is what its reader takes, and all agree with the code and each other."""

from __future__ import annotations

import configparser
import contextlib
import json
import os
import re
import shlex
import shutil
import socket
import subprocess
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
import typer
import yaml

from fixtures.postgres import NoPostgres, server
from lexveil import SILENCE
from lexveil.flows.cli import app
from lexveil.pipeline.serving.local_token import is_loopback
from lexveil.pipeline.serving.server.evaluation import PoolState
from lexveil.pipeline.serving.server.listen import ListenOptions
from lexveil.pipeline.serving.server.metrics import ServerMetrics
from lexveil.pipeline.settings import NO_SETTINGS, Settings, load_settings
from tests.deadlines import stop, wait_until

DEPLOY = Path(__file__).parents[2] / "deploy"
CLUSTER = DEPLOY / "kubernetes"
VERSION = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]["version"]


def documents() -> list[dict[str, Any]]:
    """Every object of the manifests."""
    names = kustomization()["resources"]
    return [one for name in names for one in yaml.safe_load_all((CLUSTER / name).read_text())]


def kustomization() -> dict[str, Any]:
    return yaml.safe_load((CLUSTER / "kustomization.yaml").read_text())


def compose() -> dict[str, Any]:
    return yaml.safe_load((DEPLOY / "compose.yaml").read_text())


def template() -> dict[str, Any]:
    return json.loads((CLUSTER / "job-template.json").read_text())


def pods() -> Iterator[tuple[str, dict[str, Any]]]:
    """The specification of every pod that the manifests make, runs included."""
    for one in documents():
        if one["kind"] in ("Deployment", "StatefulSet", "Job"):
            yield one["metadata"]["name"], one["spec"]["template"]["spec"]
    yield "run", template()["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]


def of_kind(kind: str, name: str) -> dict[str, Any]:
    (found,) = (one for one in documents() if one["kind"] == kind and one["metadata"]["name"] == name)
    return found


def literals() -> dict[str, dict[str, str]]:
    """The maps of variables that Kustomize makes."""
    maps = kustomization()["configMapGenerator"]
    return {one["name"]: dict(line.split("=", 1) for line in one.get("literals", ())) for one in maps}


def check_command(words: list[str]) -> None:
    """A command line of `lexveil`: the command and its options exist."""
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]
    name = " ".join(words[:2]) if " ".join(words[:2]) in commands else words[0]
    assert name in commands
    command = commands[name]
    if hasattr(command, "commands"):  # a group, and one of its commands
        command = command.commands[words[1]]
    known = {option for one in command.params for option in one.opts}
    used = {word.split("=")[0] for word in words[1:] if re.match(r"--?[a-z]", word)}
    assert used <= known, used - known


def test_every_file_parses() -> None:
    for path in DEPLOY.rglob("*"):
        if path.suffix in (".yaml", ".yml"):
            assert list(yaml.safe_load_all(path.read_text())), path.name
        elif path.suffix == ".json":
            json.loads(path.read_text())
        elif path.suffix == ".toml":
            load_settings(path)


def test_manifests_are_valid() -> None:
    validate = pytest.importorskip("kubernetes_validate")
    kinds: set[str] = set()
    for one in documents():
        validate.validate(one, "1.31", strict=True)
        kinds.add(one["kind"])
    assert kinds >= {"Deployment", "StatefulSet", "Service", "NetworkPolicy", "Role", "PersistentVolumeClaim"}
    assert kinds >= {"HorizontalPodAutoscaler", "PodDisruptionBudget"}


def test_a_run_is_a_valid_job() -> None:
    """By Prefect's own worker, which fills the template as it does in a cluster."""
    validate = pytest.importorskip("kubernetes_validate")
    worker = pytest.importorskip("prefect_kubernetes").KubernetesWorker
    from prefect.client.schemas.objects import FlowRun
    from prefect.utilities.templating import apply_values

    values = {"image": "office/lexveil:1", "env": {"A": "1"}, "namespace": "lexveil"}
    filled = apply_values(template()["job_configuration"], values, remove_notset=True)
    made = worker.job_configuration.model_validate(filled)
    made.prepare_for_flow_run(FlowRun(flow_id=uuid.uuid4(), name="night"))
    job = made.job_manifest
    validate.validate(job, "1.31", strict=True)
    (container,) = job["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "office/lexveil:1"
    assert {"name": "A", "value": "1"} in container["env"]
    assert [*container["command"], *container["args"]][:2] == ["env", "prefect"]


def test_no_pod_has_more_rights_than_it_needs() -> None:
    for name, pod in pods():
        assert pod["securityContext"]["runAsNonRoot"], name
        assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}, name
        assert not pod.get("hostNetwork"), name
        for container in (*pod.get("initContainers", ()), *pod["containers"]):
            rights = container["securityContext"]
            assert rights["readOnlyRootFilesystem"], name
            assert rights["allowPrivilegeEscalation"] is False, name
            assert rights["capabilities"] == {"drop": ["ALL"]}, name
            assert {"requests", "limits"} <= set(container["resources"]), name
            mounts = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert "/tmp" in mounts, name
    role = of_kind("Role", "worker")
    granted = {resource for rule in role["rules"] for resource in rule["resources"]}
    assert not granted & {"secrets", "configmaps", "*"}
    assert of_kind("ServiceAccount", "run")["automountServiceAccountToken"] is False
    accounts = {name: pod.get("serviceAccountName") for name, pod in pods()}
    assert accounts == {
        "server": None,
        "worker": "worker",
        "register": "run",
        "export": "run",
        "endpoint": None,
        "run": "run",
    }


def test_the_process_that_faces_the_network_gets_nothing_secret_of_the_workspace() -> None:
    """No master key, no database but its own, no workspace, no documents, in either way of deployment."""
    pod = dict(pods())["endpoint"]
    (container,) = pod["containers"]
    assert "initContainers" not in pod
    assert pod["automountServiceAccountToken"] is False
    assert {one["name"] for one in pod["volumes"]} == {"bundle", "state", "config", "tmp"}
    assert container["envFrom"] == [{"secretRef": {"name": "endpoint"}}]
    assert {line.split("=")[0] for line in read_example("endpoint")} == {
        "LEXVEIL_ENCRYPTED__STATE_URL",
        "LEXVEIL_ENCRYPTED__STATE_KEY",
    }
    assert {one["name"] for one in container["env"]} == {"HOME", "LEXVEIL_ENCRYPTED__INSECURE_HTTP"}
    (mount,) = (one for one in container["volumeMounts"] if one["name"] == "bundle")
    assert mount["readOnly"] is True
    seconds = int(container["lifecycle"]["preStop"]["exec"]["command"][1]) + ListenOptions().graceful_seconds
    assert seconds < pod["terminationGracePeriodSeconds"]
    services = compose()["services"]
    service = services["endpoint"]
    assert set(service["environment"]) == {one["name"] for one in container["env"]} | {
        line.split("=")[0] for line in read_example("endpoint")
    }
    assert service["volumes"] == ["bundle:/var/lib/bundle:ro", "/var/lib/endpoint"]
    # It reaches no server but its database and the balancer, not even by way of this machine's network.
    assert {compose()["networks"][name]["internal"] for name in service["networks"]} == {True}
    near = {name for name, one in services.items() if set(service["networks"]) & set(one.get("networks", ()))}
    assert near == {"endpoint", "balancer", "database"}


def read_example(name: str) -> list[str]:
    lines = (CLUSTER / f"{name}.example.env").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def test_any_number_of_pods_serves() -> None:
    """Nothing of a pod must outlive it, one is always left, and what the autoscaler asks for is there."""
    deployment = of_kind("Deployment", "endpoint")["spec"]
    scaler = of_kind("HorizontalPodAutoscaler", "endpoint")
    assert "replicas" not in deployment  # it would set the autoscaler back
    assert scaler["spec"]["scaleTargetRef"]["name"] == "endpoint"
    assert scaler["spec"]["minReplicas"] > 1
    volumes = {one["name"]: one for one in deployment["template"]["spec"]["volumes"]}
    assert "emptyDir" in volumes["state"]
    assert of_kind("PersistentVolumeClaim", "bundle")["spec"]["accessModes"] == ["ReadWriteMany"]
    # A metric that nobody offers keeps the autoscaler from removing pods: what needs an adapter is an offer.
    assert {one["type"] for one in scaler["spec"]["metrics"]} == {"Resource"}
    name = re.findall(r"#.*metric: {name: (\w+)}", (CLUSTER / "endpoint.yaml").read_text())[0]
    metrics = ServerMetrics()
    metrics.add_gauges(lambda: PoolState(True), lambda: (0, 0))
    assert f"{name} 0.0" in metrics.to_text().decode()


def reaches(app_name: str) -> dict[int, list[dict[str, Any]]]:
    """Where the pods of an application may call, by port."""
    found: dict[int, list[dict[str, Any]]] = {}
    for one in documents():
        if one["kind"] == "NetworkPolicy" and "Egress" in one["spec"]["policyTypes"]:
            selector = one["spec"]["podSelector"]
            chosen = [selector.get("matchLabels", {}).get("app", app_name)]
            for rule in selector.get("matchExpressions", ()):
                assert (rule["key"], rule["operator"]) == ("app", "In")  # a new pod gets nothing by accident
                chosen = rule["values"]
            for rule in one["spec"].get("egress", ()) if app_name in chosen else ():
                for port in rule["ports"]:
                    found.setdefault(port["port"], []).extend(rule["to"])
    return found


def test_no_pod_calls_whom_it_need_not() -> None:
    named = reaches("endpoint")
    assert set(named) == {53, 5432}
    assert all("namespaceSelector" in one for ways in named.values() for one in ways)
    ports = {name: set(reaches(name)) for name in ("server", "worker", "register", "export", "run")}
    assert ports["run"] == ports["register"] == {53, 5432, 4200, 443, 8200}
    assert ports["export"] == ports["server"] == {53, 5432, 443, 8200}
    assert ports["worker"] == {53, 4200, 443, 6443, 8200}
    for name in ports:
        ways = [
            one
            for port, all_ways in reaches(name).items()
            if port not in (53, 5432, 4200)
            for one in all_ways
        ]
        assert all(one["ipBlock"]["except"] for one in ways), name  # no way to the cloud's machine rights
    (label,) = reaches("endpoint")[5432][0]["namespaceSelector"]["matchLabels"]
    assert f"kubectl label namespace databases {label}=true" in (CLUSTER / "kustomization.yaml").read_text()
    (url,) = (line for line in read_example("endpoint") if "STATE_URL" in line)
    assert "@postgres.databases.svc/" in url


def test_the_database_of_compose_has_a_user_for_the_endpoint_alone() -> None:
    """By the very file that the container runs, twice: at its first start, and after an upgrade."""
    psql = shutil.which("psql")
    with contextlib.ExitStack() as opened:
        try:
            url = opened.enter_context(server())
        except NoPostgres as reason:
            pytest.skip(str(reason))
        environment = {**os.environ, "ENDPOINT_PASSWORD": "p'w"}
        for _ in range(2):
            command = [psql or "psql", "-X", "-q", "-f", str(DEPLOY / "database.sql"), url]
            subprocess.run(command, env=environment, check=True, stdout=subprocess.DEVNULL)
        import psycopg

        own = url.replace("ledger@", "endpoint@").replace("/postgres?", "/endpoint?")
        with psycopg.connect(own) as database:
            database.execute("CREATE SCHEMA lexveil_endpoint")
        for other in ("lexveil", "postgres"):
            with pytest.raises(psycopg.OperationalError, match="permission denied"):
                psycopg.connect(own.replace("/endpoint?", f"/{other}?"))


def test_compose_starts_several_servers_behind_one_port() -> None:
    services = compose()["services"]
    assert services["endpoint"]["deploy"]["replicas"] > 1
    assert "ports" not in services["endpoint"]  # the second one could not have it
    (config,) = services["balancer"]["configs"]
    told = compose()["configs"][config["source"]]["content"]
    check = dict(pods())["endpoint"]["containers"][0]["readinessProbe"]["httpGet"]["path"]
    assert f"uri {check} " in told
    assert "hdr Host localhost" in told
    assert "endpoint:8300" in told
    assert "bind :8300" in told


def test_probes_call_by_a_name_that_any_endpoint_has() -> None:
    """Kubelet calls by the pod's address, which `encrypted.hosts` does not list: it would get 421."""
    (container,) = dict(pods())["endpoint"]["containers"]
    for kind in ("startupProbe", "livenessProbe", "readinessProbe"):
        (header,) = container[kind]["httpGet"]["httpHeaders"]
        assert (header["name"], is_loopback(header["value"])) == ("Host", True)


def test_the_endpoints_database_proves_who_it_is() -> None:
    (url,) = (line for line in read_example("endpoint") if "STATE_URL" in line)
    assert "sslmode=verify-full" in url


def test_a_pod_starts_without_a_key_and_issues_one(tmp_path: Path) -> None:
    """By the very words of the manifest, in folders of the test, on a real PostgreSQL."""
    (container,) = dict(pods())["endpoint"]["containers"]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    places = {"/var/lib": str(tmp_path), "/etc/lexveil": str(CLUSTER), "8300": port}
    issue = re.search(r"-- (lexveil serve --new-api-key .*)", (CLUSTER / "endpoint.yaml").read_text())
    assert issue is not None

    def translate(words: list[str]) -> list[str]:
        text = "\n".join(words)
        for there, here in places.items():
            text = text.replace(there, here)
        return [sys.executable, "-m", "lexveil.flows.cli", *text.split("\n")]

    (tmp_path / "bundle").mkdir()
    environment = {**os.environ, **{one["name"]: one["value"] for one in container["env"]}}
    environment |= {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path)}
    with contextlib.ExitStack() as opened:
        try:
            url = opened.enter_context(server())
        except NoPostgres as reason:
            pytest.skip(str(reason))
        names = [line.split("=")[0] for line in read_example("endpoint")]
        environment |= dict(zip(names, (url, "ab" * 32), strict=True))
        pod = subprocess.Popen(translate(container["args"]), env=environment, cwd=tmp_path)
        opened.callback(stop, pod)
        words = [*translate(issue[1].split()[1:]), "--json"]
        issued = subprocess.run(words, env=environment, cwd=tmp_path, capture_output=True, check=True)
        key = json.loads(issued.stdout)["api_key"]

        def ask(path: str, **headers: str) -> int:
            with contextlib.suppress(httpx.TransportError):
                return httpx.get(f"http://127.0.0.1:{port}{path}", headers=headers).status_code
            assert pod.poll() is None
            return 0

        wait_until(lambda: ask(container["livenessProbe"]["httpGet"]["path"]) == 200)
        assert ask("/v1/manifest") == 401
        assert ask("/v1/manifest", Authorization=f"Bearer {key}") == 503  # until there is a model
        assert ask(container["readinessProbe"]["httpGet"]["path"]) == 503


def test_what_pods_refer_to_is_there() -> None:
    claims = {one["metadata"]["name"] for one in documents() if one["kind"] == "PersistentVolumeClaim"}
    secrets = {path.name.removesuffix(".example.env") for path in CLUSTER.glob("*.example.env")}
    maps = literals()
    for name, pod in pods():
        volumes = {volume["name"]: volume for volume in pod.get("volumes", ())}
        for volume in volumes.values():
            if "persistentVolumeClaim" in volume:
                assert volume["persistentVolumeClaim"]["claimName"] in claims, name
            if "configMap" in volume:
                assert volume["configMap"]["name"] in maps, name
        for container in pod["containers"]:
            for source in container.get("envFrom", ()):
                for kind, one in source.items():
                    assert one["name"] in (maps if kind == "configMapRef" else secrets), name
            known = {variable for values in maps.values() for variable in values}
            assert set(re.findall(r"\$\(([A-Z]+)\)", str(container.get("args", "")))) <= known, name
    files = next(one["files"] for one in kustomization()["configMapGenerator"] if "files" in one)
    assert all((CLUSTER / name).is_file() for name in files)


def test_doors_agree() -> None:
    for name, port in (("server", 4200), ("endpoint", 8300)):
        kind = "StatefulSet" if name == "server" else "Deployment"
        (container,) = of_kind(kind, name)["spec"]["template"]["spec"]["containers"]
        assert [one["containerPort"] for one in container["ports"]] == [port]
        assert [one["port"] for one in of_kind("Service", name)["spec"]["ports"]] == [port]
        rules = of_kind("NetworkPolicy", name)["spec"]["ingress"]
        assert [one["port"] for rule in rules for one in rule["ports"]] == [port]
        (published,) = compose()["services"]["balancer" if name == "endpoint" else name]["ports"]
        assert published == f"127.0.0.1:{port}:{port}"
    assert Settings().encrypted.port == 8300
    assert literals()["run-environment"]["PREFECT_API_URL"] == "http://server:4200/api"
    served = (Path(__file__).parents[2] / "pipeline" / "serving" / "server" / "app.py").read_text()
    endpoint = of_kind("Deployment", "endpoint")["spec"]["template"]["spec"]["containers"][0]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert f'"{endpoint[probe]["httpGet"]["path"]}"' in served


def test_the_endpoint_that_others_reach_says_who_ends_tls() -> None:
    """Without it the endpoint does not start there."""
    wanted = "LEXVEIL_ENCRYPTED__INSECURE_HTTP"
    assert compose()["services"]["endpoint"]["environment"][wanted] == "true"
    (container,) = of_kind("Deployment", "endpoint")["spec"]["template"]["spec"]["containers"]
    assert {"name": wanted, "value": "true"} in container["env"]


def test_images_agree() -> None:
    assert template()["variables"]["properties"]["image"]["default"] == f"lexveil:{VERSION}"
    assert literals()["site"]["IMAGE"] == f"lexveil:{VERSION}"
    assert kustomization()["images"] == [{"name": "lexveil", "newTag": VERSION}]
    own = {one["image"] for one in compose()["services"].values() if "build" in one}
    assert own == {f"lexveil:{VERSION}"}
    text = (DEPLOY / "Dockerfile").read_text()
    user = re.search(r"^USER (\d+):\1$", text, re.MULTILINE)
    assert user is not None
    assert {pod["securityContext"]["runAsUser"] for _, pod in pods()} == {int(user[1])}
    extras = re.search(r"^ARG EXTRAS=(.*)$", text, re.MULTILINE)
    assert extras is not None
    project = tomllib.loads((DEPLOY.parent / "pyproject.toml").read_text())["project"]
    assert set(extras[1].split(",")) <= set(project["optional-dependencies"])
    for line in re.findall(r"^COPY (?!--from)(.*)$", text, re.MULTILINE):
        *sources, _target = line.split()
        assert all((DEPLOY.parent / source).exists() for source in sources), line


def test_nothing_in_a_container_reports_to_anybody() -> None:
    """Also not what does not import Lexveil first: the Prefect server and worker."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    set_there = dict(re.findall(r"(\w+)=(\S+)", " ".join(re.findall(r"^ENV (.*)$", text, re.MULTILINE))))
    assert set_there.items() >= SILENCE.items()
    for deployment in yaml.safe_load((DEPLOY / "prefect.yaml").read_text())["deployments"]:
        assert deployment["work_pool"]["job_variables"]["env"]["DO_NOT_TRACK"] == SILENCE["DO_NOT_TRACK"]


def test_what_is_mounted_is_there() -> None:
    for name, service in compose()["services"].items():
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("./"):
                assert (DEPLOY / source).exists(), (name, source)
            elif not source.startswith(("$", "/")):  # a folder of the container's own has no source
                assert source in compose()["volumes"], (name, source)


def test_what_is_watched_is_there() -> None:
    configs = {name: yaml.safe_load(one["content"]) for name, one in compose()["configs"].items()}
    for service in compose()["services"].values():
        assert {one["source"] for one in service.get("configs", ())} <= set(configs)
    (scraped,) = configs["prometheus"]["scrape_configs"]
    (target,) = scraped["static_configs"][0]["targets"]
    name, port = target.split(":")
    assert port in compose()["services"][name]["command"]
    apart = yaml.safe_load((DEPLOY / "prometheus.yml").read_text())
    assert scraped["job_name"] in {one["job_name"] for one in apart["scrape_configs"]}
    assert configs["prometheus"]["rule_files"] == apart["rule_files"]


def test_commands_exist() -> None:
    for name, pod in pods():
        for container in pod["containers"]:
            if "command" not in container:
                check_command(container["args"])
            elif name != "run":
                assert container["command"][0] == "prefect"
    for service in compose()["services"].values():
        if service.get("command") and "build" in service:
            check_command(service["command"])
    for path in DEPLOY.glob("*.service"):
        unit = read_unit(path.name)
        program, *words = shlex.split(unit["Service"]["ExecStart"])
        assert Path(program).name == "lexveil"
        check_command(words)
        assert unit["Service"]["Restart"] == ("always" if path.name == "lexveil.service" else "on-failure")


def read_unit(name: str) -> configparser.ConfigParser:
    unit = configparser.ConfigParser(strict=False, interpolation=None)
    unit.optionxform = str  # type: ignore[assignment,method-assign]
    unit.read(DEPLOY / name)
    return unit


@pytest.mark.parametrize("who", ["join", "hub"])
def test_who_trains_together_is_started_again_unless_it_is_refused(who: str) -> None:
    from lexveil.pipeline.errors import AgreementError, BudgetRefusedError, JointTrainingError

    unit = read_unit(f"lexveil-{who}.service")
    prevented = {int(code) for code in unit["Service"]["RestartPreventExitStatus"].split()}
    assert {AgreementError.exit_code, BudgetRefusedError.exit_code} <= prevented
    assert JointTrainingError.exit_code not in prevented
    together = read_unit("lexveil.service")
    for name in (
        "NoNewPrivileges",
        "PrivateTmp",
        "ProtectSystem",
        "ProtectHome",
        "UMask",
        "StateDirectoryMode",
    ):
        assert unit["Service"][name] == together["Service"][name]


def test_the_hub_has_no_documents_and_no_database() -> None:
    """The offices' key is nowhere either: it is a file that only offices are given."""
    service = compose()["services"]["hub"]
    assert set(service["environment"]) == {"HOME", "LEXVEIL_MASTER_KEY"}
    assert [volume.split(":")[0] for volume in service["volumes"]] == ["hub", "${AGREEMENT"]
    assert "depends_on" not in service
    for words in (service["command"], shlex.split(read_unit("lexveil-hub.service")["Service"]["ExecStart"])):
        assert {"join", "hub"} <= set(words)
        assert "train" not in words


def test_the_commands_of_comments_exist() -> None:
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            for line in re.findall(
                r"(?<![-/\w])lexveil (?=[a-z])([^`\n\\]*)", path.read_text(errors="replace")
            ):
                words = line.split()
                if words[0] in typer.main.get_command(app).commands:  # type: ignore[attr-defined]
                    check_command([word for word in words if word != "..."])


def test_environment_names_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every `LEXVEIL_...` that is set somewhere is read by something."""
    named: set[str] = set()
    for path in DEPLOY.rglob("*"):
        if path.is_file():
            named |= set(re.findall(r"LEXVEIL_[A-Z_]*[A-Z]", path.read_text(errors="replace")))
    for name in sorted(named - NO_SETTINGS):
        section, _, field = name.removeprefix("LEXVEIL_").lower().partition("__")
        assert section in Settings.model_fields, name
        if field:
            assert field in type(getattr(Settings(), section)).model_fields, name


def test_flows_of_the_prefect_file_take_their_parameters() -> None:
    import inspect

    import lexveil.flows.deployments as deployments

    for one in yaml.safe_load((DEPLOY / "prefect.yaml").read_text())["deployments"]:
        module, _, function = one["entrypoint"].rpartition(".")
        assert module == "lexveil.flows.deployments"
        wanted = inspect.signature(getattr(deployments, function).fn).parameters
        assert set(one["parameters"]) <= set(wanted), one["name"]
        assert one["concurrency_limit"] == 1
