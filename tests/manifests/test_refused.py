"""`lifecycle manifests`: what it refuses to write, and the sentence that it says."""

from __future__ import annotations

import pytest

from lifecycle.cli.manifests import run as manifests
from lifecycle.cli.parser import make_parser
from lifecycle.manifests.validation import Refused
from tests.manifests.making import ASGI, BASE, plan


@pytest.mark.parametrize(
    ("words", "environ", "sentence"),
    [
        (["--service", "orders"], {}, "service orders needs a port. Write orders:PORT"),
        (["--service", "Orders:1"], {}, "lower-case letters"),
        (["--service", "a:22222"], {}, "uses the QOS port of pod-lifecycle"),
        (["--service", "a:1", "--service", "a:1"], {}, "two services have the same name"),
        (["--service", "a:99999"], {}, "must be NAME or NAME:PORT"),
        (["--env", "A"], {}, "must have the form NAME=VALUE"),
        (["--env", "1A=b"], {}, "must have the form NAME=VALUE"),
        (["--cpu", "lots"], {}, "is not a quantity"),
        (["--memory", "0"], {}, "is not a quantity"),
        (["--container", "a_b"], {}, "--container 'a_b'"),
        (["--profile", "job", "--service", "a:1"], {}, "cannot have app services"),
        (["--profile", "job", "--replicas", "2"], {}, "Remove --replicas and -o kustomize"),
        (
            ["--profile", "job-istio", "--service", "a:1"],
            {},
            "--profile=job-istio cannot have app services",
        ),
        (["--profile", "job-istio", "--replicas", "2"], {}, "--profile=job-istio writes a Job"),
        (["--to", "x"], {}, "--to DIR is required with -o kustomize"),
        ([], {"LIFECYCLE_SETTLE": "25"}, "longer than grace_period=30 s"),
        ([], {"LIFECYCLE_SETTLE": "soon"}, "LIFECYCLE_SETTLE='soon'"),
        ([], {"LIFECYCLE_RUN_DIR": "run"}, "LIFECYCLE_RUN_DIR=run"),
        *(
            ([], {"LIFECYCLE_RUN_DIR": folder}, "must be an absolute path with a separate folder")
            for folder in ("/tmp", "//tmp", "/run/../tmp/", "/etc", "/", "/proc/us", "/run/a:b")
        ),
        ([], {"LIFECYCLE_RUN_DIR": "/run/" + "a" * 150}, "may have at most 107 bytes"),
        (["--env", "A=\udcff"], {}, "the value of A is not text in UTF-8"),
        ([], {"LIFECYCLE_X": "\udcff"}, "the value of LIFECYCLE_X is not text in UTF-8"),
        (["--service", "a:1", "--service", "a:2"], {}, "one port per name"),
    ],
)
def test_what_does_not_add_up_is_refused(
    words: list[str], environ: dict[str, str], sentence: str
) -> None:
    """Nothing is written that could not run, and a sentence says why."""
    with pytest.raises(Refused) as raised:
        plan(*words, command=["python", "shop.py"], **environ)

    assert sentence in str(raised.value)


@pytest.mark.parametrize(
    ("command", "rule"),
    [
        (["sh", "-c", "python shop.py"], "shell-pid-1"),
        (["uvicorn", "a:b", "--reload"], "reload"),
        (["uvicorn", "a:b", "--host", "127.0.0.1"], "service-port"),
        (["daphne", "a:b"], "service-port"),
    ],
)
def test_what_our_own_rules_find_is_refused(
    command: list[str], rule: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A command that would hurt is not put into a manifest."""
    options = make_parser().parse_args(["manifests", *BASE, "--", *command])

    assert manifests(options) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"lifecycle: {rule}: ")


def test_a_rule_is_named_once(capsys: pytest.CaptureFixture[str]) -> None:
    """Three probes of one mistake are one sentence."""
    words = ["manifests", *BASE, "--env", "LIFECYCLE_QOS_PORT=0", "--", *ASGI]

    assert manifests(make_parser().parse_args(words)) == 2
    assert capsys.readouterr().err.count("probe-port: ") == 1
