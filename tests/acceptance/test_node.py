"""A small Node project, from `init` to the target branch, with the runner that Node brings along."""

import shutil

import pytest
from anyio import to_thread

from gatewright.server.cli.main import main

from .conftest import Repositories
from .house import Clock, serving

pytestmark = [
    pytest.mark.anyio,
    # npm is started several times.
    pytest.mark.slow,
    pytest.mark.skipif(shutil.which("node") is None, reason="there is no node here"),
]

FILES = {
    "package.json": '{"name": "sum", "type": "module", "scripts": {"test": "node --test"}}\n',
    "sum.js": "export const add = (a, b) => a + b;\n",
    "test/sum.test.js": (
        "import test from 'node:test';\nimport assert from 'node:assert';\nimport { add } from '../sum.js';\n\n"
        "test('adds', () => {\n  assert.strictEqual(add(1, 2), 3);\n});\n"
    ),
}
MORE = (
    "import test from 'node:test';\nimport assert from 'node:assert';\nimport { sub } from '../sum.js';\n\n"
    "test('subtracts', () => {\n  assert.strictEqual(sub(3, 2), 1);\n});\n"
)
SUB = "export const add = (a, b) => a + b;\nexport const sub = (a, b) => a {sign} b;\n"


@pytest.mark.usefixtures("as_shipped")
async def test_a_change_to_a_node_project_is_refused_with_its_line_and_lands_when_mended(
    make: Repositories, capsys: pytest.CaptureFixture[str]
) -> None:
    repository = make(is_set_up=False)
    repository.git("rm", "--quiet", "calc.py", "gatewright.yaml")
    repository.commit("A Node project", **FILES)
    for command in (("init", "--template", "solo", "--commit"), ("doctor",)):
        status = await to_thread.run_sync(main, ("--repo", str(repository.path), *command))
        assert status == 0, capsys.readouterr().out
    assert "1 test" in capsys.readouterr().out

    async with serving(repository, clock=Clock()) as server, server.agent("ada") as ada:
        change = await ada.start("Add sub")
        code = await ada.claim()
        bad = await ada.submit(code, {"sum.js": SUB.replace("{sign}", "+"), "test/sub.test.js": MORE})
        good = await ada.submit(code, {"sum.js": SUB.replace("{sign}", "-")})
        record = await server.landed(change)

    (found,) = bad["findings"]
    assert (bad["outcome"], found["where"], found["gate"]) == ("failed", "test/sub.test.js:6", "test")
    assert "5 !== 1" in found["message"]
    assert good["outcome"] == "passed"
    assert record.landed_commit == repository.tip()
