"""The registry while the API server is away, slow or deaf, and the watches on it."""

from __future__ import annotations

import asyncio
import shutil
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest

from plugins.kubernetes.tests.conftest import Play, make_certificate

# httpcore leaves a socket open when it is cancelled in a TLS handshake.
pytestmark = pytest.mark.filterwarnings("ignore:.*:pytest.PytestUnraisableExceptionWarning")


def test_a_token_that_was_rotated_is_read_again(play: Play) -> None:
    """With the old token refused, the new one in the file is used, and nobody notices."""

    async def scenario(pod: Any) -> None:
        async with pod.ready() as life:
            pod.api.token = "second"
            (pod.api.account / "token").write_text("second")
            life.offline("orders")
            await pod.until(lambda: pod.api.condition() == "False", "it is out")
            assert pod.cell()["reason"] == ""

    play(scenario)


def test_an_api_server_that_is_too_slow_is_given_up_and_asked_again(play: Play) -> None:
    """An operation that outlives register_timeout is a reason; the next one succeeds."""

    async def scenario(pod: Any) -> None:
        async with pod.run(register_timeout=0.3) as life:
            await pod.until(lambda: pod.api.asked, "the pod is read")
            pod.api.slow = 1.0
            life.export("orders", port=8080)
            ready = asyncio.ensure_future(life.ready())
            await pod.until(lambda: "no answer for 0.3 s" in pod.cell()["reason"], "it says why")
            pod.api.slow = 0.0
            await ready

    play(scenario)


def test_a_healthy_provider_stays_while_the_api_server_is_away(play: Play) -> None:
    """The API server is killed and comes back: not known meanwhile, ready all the time."""

    async def scenario(pod: Any) -> None:
        async with pod.ready() as life:
            since = len(pod.api.patched)
            await pod.api.kill()
            await pod.until(lambda: pod.cell()["registered"] == "unknown", "it notices")
            await pod.until(lambda: "unreachable" in pod.cell()["reason"], "it says why")
            assert life.services["orders"].confirmed
            await pod.api.start()
            await pod.until(lambda: pod.cell()["registered"] == "yes", "it is back")
            written = [condition for condition, _ in pod.api.patched[since:]]
            assert written == ["True"], "nobody was told that it is out"

    play(scenario)


def test_a_drain_does_not_wait_for_an_api_server_that_is_away(play: Play) -> None:
    """It ends after register_timeout, and the report names what may still be registered."""

    async def scenario(pod: Any) -> None:
        now = asyncio.get_running_loop().time
        async with pod.ready(register_timeout=0.5):
            await pod.api.kill()
            began = now()
        assert now() - began < 10
        (report,) = pod.said("drain report")
        assert "orders@kubernetes" in report["unregistered"][0]

    play(scenario)


def test_a_registration_that_somebody_took_away_is_made_again(play: Play) -> None:
    """The watch sees the condition turn false; the registration is lost, and made again."""

    async def scenario(pod: Any) -> None:
        async with pod.ready():
            await pod.watched()
            await pod.annotated_again()
            assert any("is gone" in each.get("reason", "") for each in pod.said("registration"))

    play(scenario)


def test_a_watch_that_went_deaf_is_noticed(play: Play) -> None:
    """A connection that is open and says nothing is replaced after `idle`, and the loss found."""

    async def scenario(pod: Any) -> None:
        pod.environment.setenv("LIFECYCLE_KUBERNETES_IDLE", "1")
        pod.api.deaf = True
        async with pod.ready():
            await pod.watched()
            await pod.annotated_again()
            assert pod.api.watches("pods") >= 1

    play(scenario)


def test_a_silent_watch_of_the_slices_is_replaced(play: Play) -> None:
    """The own entry changes while the watch is deaf: the next watch begins where it ended."""

    async def scenario(pod: Any) -> None:
        pod.environment.setenv("LIFECYCLE_KUBERNETES_IDLE", "1")
        async with pod.ready():
            await pod.until(lambda: pod.cell()["visible"], "it is visible")
            pod.api.deaf = True
            pod.api.ready = False
            pod.api.change()
            before = pod.api.watches("endpointslices")
            await pod.until(lambda: pod.api.watches("endpointslices") > before, "it is replaced")
            pod.api.deaf = False
            pod.api.change()
            await pod.until(lambda: pod.cell()["visible"] is False, "the change is seen")
            assert pod.cell()["registered"] == "yes"

    play(scenario)


def test_a_service_that_cannot_be_looked_up_gates_nothing(play: Play) -> None:
    """Whether it is visible is not known, for a reason; it is registered all the same."""

    async def scenario(pod: Any) -> None:
        pod.api.no_slices = 403
        async with pod.ready():
            await pod.until(lambda: "visible_reason" in pod.cell(), "it says why")
            await pod.until(lambda: "forbidden" in pod.cell()["visible_reason"], "it is refused")
            assert (pod.cell()["visible"], pod.cell()["registered"]) == (None, "yes")
            pod.api.no_slices = 0
            await pod.until(lambda: pod.cell()["visible"], "it is asked again")

    play(scenario)


def test_a_watch_that_is_ended_at_once_is_not_begun_in_a_tight_circle(play: Play) -> None:
    """Whoever closes each watch politely is asked again, twice a second and no more."""

    async def scenario(pod: Any) -> None:
        pod.api.curt = True
        async with pod.ready():
            await pod.until(lambda: pod.api.watches("pods") >= 3, "it is begun anew")
            assert pod.cell()["registered"] == "yes"
            before, began = pod.api.watches("pods"), asyncio.get_running_loop().time()
            await pod.until(lambda: pod.api.watches("pods") >= before + 2, "and anew")
            assert asyncio.get_running_loop().time() - began > 0.4

    play(scenario)


def test_a_watch_that_is_too_old_is_begun_anew_and_nobody_sees_it(play: Play) -> None:
    """410 on a watch: the pod is read, and watched from there; the registration is not touched."""

    async def scenario(pod: Any) -> None:
        pod.api.expired = 2
        async with pod.ready():
            await pod.until(lambda: pod.api.watches("pods") >= 2, "it is begun anew")
            assert pod.cell()["registered"] == "yes"
            await pod.annotated_again()
            reasons = [each.get("reason", "") for each in pod.said("registration")]
            assert not any("expired" in each for each in reasons)

    play(scenario)


def test_a_certificate_that_is_not_trusted_has_a_name_and_a_rotated_ca_is_read(
    play: Play, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """The API server comes back with another CA's certificate: trusted once the file has that."""

    async def scenario(pod: Any) -> None:
        async with pod.ready():
            await pod.api.kill()
            pod.api.certificate = make_certificate(tmp_path_factory.mktemp("rotated"))
            await pod.api.start()
            await pod.until(
                lambda: pod.cell()["reason"].startswith("untrusted: "), "it is not trusted"
            )
            shutil.copy(pod.api.certificate / "ca.crt", pod.api.account / "ca.crt")
            await pod.until(lambda: pod.cell()["registered"] == "yes", "it is trusted")

    play(scenario)


def test_a_certificate_without_the_newer_extensions_is_trusted(
    play: Play, monkeypatch: pytest.MonkeyPatch, account: Path
) -> None:
    """As on EKS: no Authority Key Identifier, which Python from 3.13 on asks for by default."""
    default = ssl.create_default_context

    def strict(**given: Any) -> ssl.SSLContext:
        context = default(**given)
        context.verify_flags |= ssl.VERIFY_X509_STRICT
        return context

    monkeypatch.setattr(ssl, "create_default_context", strict)
    make_old_certificate(account)

    async def scenario(pod: Any) -> None:
        async with pod.ready():
            pass

    play(scenario)


def make_old_certificate(folder: Path) -> None:
    """Sign a server's certificate by a CA; neither has key identifiers."""
    (folder / "own").write_text(
        "[req]\ndistinguished_name=dn\n[dn]\n"
        "[ca]\nbasicConstraints=critical,CA:TRUE\nsubjectKeyIdentifier=none\n"
        "[server]\nsubjectAltName=IP:127.0.0.1\n"
        "subjectKeyIdentifier=none\nauthorityKeyIdentifier=none\n"
    )
    key = "-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -config own"
    sign = "-CA ca.crt -CAkey ca.pem -CAcreateserial -days 2 -extfile own -extensions server"
    for line in (
        f"req -x509 {key} -days 2 -extensions ca -subj /CN=kubernetes -keyout ca.pem -out ca.crt",
        f"req {key} -subj /CN=api -keyout key.pem -out server.csr",
        f"x509 -req -in server.csr {sign} -out server.crt",
    ):
        subprocess.run(["openssl", *line.split()], cwd=folder, check=True, capture_output=True)
    served = folder / "served"
    served.mkdir()
    shutil.copy(folder / "server.crt", served / "ca.crt")
    shutil.copy(folder / "key.pem", served / "key.pem")
