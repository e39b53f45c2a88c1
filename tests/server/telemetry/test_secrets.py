"""What opens something stands in no log, no span and no metric, however it was sent."""

import json
import logging
import sys

import httpx2
import pytest

from gatewright.server.identity.scopes import Scope
from gatewright.server.identity.tokens import new_token
from gatewright.server.telemetry import cleaning, providers
from gatewright.server.telemetry.about import about
from gatewright.server.telemetry.cleaning import cleaned
from gatewright.server.telemetry.logs import JsonLines, TextLines

from ...acceptance.house import PLAN, Repository
from ...acceptance.serve_process import agent_of, served_with, token_of
from ..http.house import HEADERS, bearer
from .collector import collecting

PROOF = "Qm3xAbCdEfGhIjKlMnOpQr"
LEASE = f"gw1.c12.code.7.{PROOF}"
JWT = "eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJhZGEifQ.c2lnbmF0dXJl"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("held by gwt_" + "a" * 43 + ".", "held by gwt_***"),
        ("gwt_abcdefgh and no more", "gwt_*** and no more"),
        (f"lease='{LEASE}'", "lease='gw1.c12.code.7.***'"),
        (f"gw1.c12.code.r7.{PROOF}x", "gw1.c12.code.r7.***"),
        (f"gw1.c12.code.7.{PROOF[:9]}", "gw1.c12.code.7.***"),
        ("postgresql://ada:pass@word@db/gates failed", "postgresql://***@db/gates failed"),
        ("cloning https://token123@git.example.org/x", "cloning https://***@git.example.org/x"),
        ("host=db password=hunter2 dbname=x", "host=db password=*** dbname=x"),
        ("""{"password": "hunter2"}""", """{"password": ***}"""),
        ("Authorization: Bearer 7e421a7313c01298", "Authorization: Bearer ***"),
        (f"token {JWT} was refused", "token *** was refused"),
        ("c12/code passed at 9f2c in 3 s, see https://example.org/a@b", None),
    ],
)
def test_whatever_has_the_form_of_a_secret_is_hidden_and_nothing_else_is(text: str, clean: str | None) -> None:
    assert cleaned(text) == (text if clean is None else clean)


def test_the_passwords_that_a_process_was_given_are_known_word_for_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cleaning, "_known", set())
    cleaning.remember_secrets_of("postgresql://ada:hunter%2F2@db/gates")
    cleaning.remember_secrets_of("https://only-a-token@git.example.org/x")
    cleaning.remember_secrets_of("git@git.example.org:x.git")

    assert cleaned("no hunter/2, no hunter%2F2 and no only-a-token for git") == "no ***, no *** and no *** for git"


def test_a_name_alone_is_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commonest role of a database is called as everything else here is."""
    monkeypatch.setattr(cleaning, "_known", set())
    cleaning.remember_secrets_of("postgresql://gatewright@db/gatewright")
    cleaning.remember_secrets_of("ssh://some-long-name@git.example.org/x")
    cleaning.remember_secrets_of("https://gatewright@git.example.org/x")

    assert cleaned("gatewright of some-long-name") == "gatewright of some-long-name"


def test_what_is_told_of_the_process_has_no_password_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A detector of the standard tells the arguments, to whoever asks for it by a variable."""
    url = "postgresql://ada:hunter2hunter2@db/gates"
    monkeypatch.setattr(sys, "argv", ["gatewright", "serve", "--database-url", url, "--tls-key", "key.pem"])
    monkeypatch.setenv("OTEL_EXPERIMENTAL_RESOURCE_DETECTORS", "process,otel")
    monkeypatch.setenv("OTEL_RESOURCE_ATTRIBUTES", f"place={url}")

    told = providers._resource().to_json()

    assert "process.pid" in told
    assert "hunter2" not in told


@pytest.mark.parametrize("formatter", [TextLines(), JsonLines()], ids=["text", "json"])
def test_a_line_of_the_log_has_no_secret_in_it_wherever_it_stood(formatter: logging.Formatter) -> None:
    try:
        raise ValueError(f"of {LEASE}")
    except ValueError as exc:
        given = (ValueError, exc, exc.__traceback__)
    record = logging.LogRecord("x", logging.WARNING, "x.py", 1, "it was %s\nand more", (JWT,), given)

    with about(change="c12", stage=LEASE):
        line = formatter.format(record)

    assert PROOF not in line
    assert JWT not in line
    if isinstance(formatter, JsonLines):
        assert json.loads(line)["change"] == "c12"
        assert "\n" not in line


@pytest.mark.slow
@pytest.mark.anyio
async def test_no_token_and_no_lease_leaves_a_server_whatever_is_sent_to_it(repository: Repository) -> None:
    """Good ones, wrong ones, cut ones; as names of tools, arguments, paths, hosts and bodies that are no JSON."""
    wrong, cut = new_token(), new_token()[:-9]
    more = {"OTEL_EXPERIMENTAL_RESOURCE_DETECTORS": "process,otel", "GATEWRIGHT_X": wrong}
    with collecting() as collector:
        options = ("--repo", str(repository.path), "--log-format", "json", "--metrics")
        with served_with(*options, **collector.environment, **more) as server:
            token, operator = token_of(repository), token_of(repository, Scope.ADMIN)
            async with agent_of(server.url, token) as ada, httpx2.AsyncClient() as http:
                change = await ada.start()
                brief = await ada.claim(change)
                lease = brief["lease"]
                for secret in (token, wrong, cut, lease, lease[:-4]):
                    await ada.refused("get_status", change=secret)
                    await ada.refused("claim_stage", agent=secret, stage=secret)
                    await ada.refused("renew_lease", lease=f"x{secret}")
                    await ada.refused("get_status", **{secret: secret})
                    for method in ("tools/call", secret):
                        body = {"jsonrpc": "2.0", "id": 1, "method": method, "params": {"name": secret}}
                        await http.post(server.url, headers={**HEADERS, **bearer(token)}, json=body)
                    await http.post(server.url, headers={**HEADERS, **bearer(token)}, content=f'{{"{secret}')
                    await http.post(server.url, headers={**HEADERS, **bearer(secret)}, json={})
                    await http.get(f"{server.url}/{secret}?token={secret}", headers=bearer(token))
                    await http.get(server.url, headers={"host": secret})
                await ada.submit(brief, {f"docs/changes/{change}.md": PLAN})
                page = await http.get(server.url.replace("/mcp", "/metrics"), headers=bearer(operator))
            assert server.end() == 0
            assert server.process.stderr is not None
            log = server.process.stderr.read()

    assert log.strip()
    left = {"log": log, "page": page.text, "export": b"\n".join(body for _, body in collector.bodies).decode("latin-1")}
    for name, text in left.items():
        for secret in (token, operator, wrong, cut, lease.rpartition(".")[2][:-4]):
            assert secret not in text, f"the {name} tells {secret}"
    assert all(json.loads(line) for line in log.splitlines())
    assert {span.name for _, span in collector.spans()} >= {"tools/call gwt_***", "attempt plan", "claim plan"}
    assert "gatewright_refusals_total{" in page.text
    assert {"gatewright.refusals", "http.server.request.duration"} <= collector.metrics()
