"""Every answer matches /openapi.json in status, media type, headers and schema.

schemathesis makes valid and invalid requests from the document. Event streams are not tried: they
do not end, and have no schema.
"""

import os
from collections.abc import Iterator
from importlib.util import find_spec
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings, strategies
from msgspec import Struct

from cucmweb.operations import OPERATIONS, OWN
from cucmweb.token_file import add
from rig.daemon import CONFIG, running_daemon
from rig.jobs import start
from rig.lab import running_lab
from rig.web import Web, running_web

pytestmark = [
    pytest.mark.long,
    pytest.mark.skipif(
        find_spec("schemathesis") is None,
        reason="needs the extra test-web: pip install -e '.[test,test-web]'",
    ),
    pytest.mark.filterwarnings("default"),  # of what schemathesis imports
]

TRIED = [
    *((one.verb, one.path) for one in OPERATIONS if one.form != "events"),
    *(("GET", path) for path in OWN),
]
# Each path with generated values, and each path of a job also with a real job, deleted last.
CASES = [(verb, path, False) for verb, path in TRIED]
CASES += sorted(
    ((verb, path, True) for verb, path in TRIED if "{job_id}" in path),
    key=lambda case: case[0] == "DELETE",
)
# Nobody listens there.
NOBODY = "127.0.0.1:1"
EXAMPLES = settings(
    max_examples=10,
    derandomize=True,
    database=None,
    deadline=None,
    phases=[Phase.explicit, Phase.generate],
    suppress_health_check=list(HealthCheck),
)


class Described(Struct):
    """schema: the document, as schemathesis reads it. job_id: the id of a closed job."""

    schema: Any
    web: Web
    token: str
    job_id: str
    node: str


@pytest.fixture(scope="module")
def described(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Described]:
    import schemathesis

    folder = tmp_path_factory.mktemp("described")
    web_folder = folder / "web"
    token = add(web_folder / "tokens.toml", "tests", "operate", None)
    speaks = f'[access]\nmay_speak_for = ["{os.geteuid()}"]\n'
    with (
        running_lab(2) as lab,
        running_daemon(folder / "cucmd", CONFIG + speaks) as daemon,
        running_web(web_folder, daemon.socket, tcp=True) as web,
    ):
        with daemon.client() as client:
            job = client.wait(start(client, lab).job_id)
        document = web.ask("GET", "/openapi.json", headers=bearer(token)).json()
        schema = schemathesis.openapi.from_dict(document)
        schema.config.update(base_url=f"http://127.0.0.1:{web.port}")
        yield Described(schema, web, token, job.job_id, lab.nodes[0])


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


def validate(described: Described, case: Any) -> int:
    """Makes the request and compares the answer with the document. Returns the status."""
    from schemathesis import checks
    from schemathesis.specs.openapi import checks as of_openapi

    answer = case.call_and_validate(
        checks=[
            checks.not_a_server_error,
            of_openapi.status_code_conformance,
            of_openapi.content_type_conformance,
            of_openapi.response_headers_conformance,
            of_openapi.response_schema_conformance,
        ],
        headers=bearer(described.token),
        timeout=60,
    )
    return int(answer.status_code)


@pytest.mark.parametrize(("verb", "path", "of_a_job"), CASES)
def test_answers_are_described(described: Described, verb: str, path: str, of_a_job: bool) -> None:
    from schemathesis.generation import GenerationMode

    found = described.schema[path][verb]
    any_case = strategies.one_of(*(found.as_strategy(mode) for mode in GenerationMode))

    @EXAMPLES
    @given(case=any_case)
    def is_as_described(case: Any) -> None:
        if of_a_job:
            known = {"job_id": described.job_id, "node": described.node, "target": "x"}
            case.path_parameters = {name: known[name] for name in case.path_parameters}
        if path == "/jobs" and isinstance(case.body, dict) and "nodes" in case.body:
            case.body["nodes"] = [NOBODY]  # no job goes to a machine of a random name
        validate(described, case)

    is_as_described()


def test_started_job_is_described(described: Described) -> None:
    """Generated requests hardly ever start a job."""
    login = {"username": "administrator", "password": "x"}
    body = {"nodes": [NOBODY], "login": login, "check": {}}
    case = described.schema["/jobs"]["POST"].Case(body=body, media_type="application/json")
    assert validate(described, case) == 201
