"""Each rule finds what it is there for, and leaves good sentences alone."""

from __future__ import annotations

import pytest

from tests.plain_words.rules import RULES, findings
from tests.plain_words.texts import Kind, Text

CELL, HEADING, MESSAGE, PART = Kind.CELL, Kind.HEADING, Kind.MESSAGE, Kind.PART

BAD: dict[str, tuple[str | tuple[str, Kind], ...]] = {
    "clause-as-subject": (
        "Who sends a request at that moment has lost it.",
        "The drain waits. What is not counted is not waited for.",
        ("whoever has the QOS port", CELL),
        ("what it asks for (default: 250m)", MESSAGE),
        "Whatever ends the app goes through DRAINING.",
    ),
    "pronoun-opening": (
        "It does not start.",
        ("it could not start", MESSAGE),
        ("It does not leave", HEADING),
        "The port is closed. This means that the clients are lost.",
        ("these are not checked", CELL),
        "The same holds for a command.",
        "One has failed.",
    ),
    "colon-join": (
        "The rest stays as it is: nothing is replaced.",
        "SIGTERM is not delivered: it has no handler.",
        "The registry is tried again: an absent registry is not a fault.",
        ("the port is in use: stop the program that has it", MESSAGE),
        "Only the parent drains: when it has left, the workers end.",
    ),
    "semicolon": (
        "The port is open; the app is not ready.",
        ("; did you mean `live`?", PART),
        ("HTTP/2; WebSockets", CELL),
    ),
    "long-sentence": (" ".join(["word"] * 31) + ".",),
    "people-pronoun": (
        "Nobody is lost.",
        "The port of somebody else's server is known.",
        ("exit code 2: nobody answers", CELL),
    ),
    "term": (
        "Requests on kept connections are lost.",
        "The wait ends at T0 + 5 s.",
        "A consumer may still find the pod.",
        "An app under a lifecycle has three probes.",
        "The operator takes it offline.",
    ),
    "negated-noun": (
        "aiohttp is no ASGI server.",
        ("`{text}` is no port from 1 to 65535", MESSAGE),
        "The files are no manifests.",
    ),
    "old-word": (
        "The app waits for ever.",
        "Mend the variable.",
        "The drain has begun.",
        "Run one worker a pod.",
        "The app serves all the same.",
        "The file beside the manifest is read.",
    ),
    "machine-speaks": (
        "The server says so.",
        "The kubelet tells the container to end.",
        "A worker that says that it serves is counted.",
        "`lifecycle status` says why.",
    ),
}

GOOD: dict[str, tuple[str | tuple[str, Kind], ...]] = {
    "clause-as-subject": (
        "What happens if the app hangs?",
        ("What happens in a drain", HEADING),
        "You see what the drain waits for.",
        "Whatever the cause, every shutdown goes through DRAINING.",
        "Whose port this is cannot be seen.",
        ("what it asks for", PART),
        ("What to do", CELL),
    ),
    "pronoun-opening": (
        "The server handles the signals. It does not end the process.",
        "This port is closed.",
        "This process drains.",
        "That address is in use.",
        "These rules are checked.",
        "One process per pod runs pod-lifecycle.",
        "The same rule holds for a command.",
        "Items and its like are kept.",
        ("it could not start", PART),
    ),
    "colon-join": (
        "The pod has three probes: live, ready and startup.",
        "Run this command: `lifecycle run`.",
        "At the limit, a new connection replaces an old one: first an idle one, then another.",
        "Exception: if the caller has disconnected, the wait continues.",
        "The default is 30 s: see the table.",
        "Open http://127.0.0.1:8080/ready in a browser.",
        ("`{name}`: must be from 1 to 10", MESSAGE),
        ("not started: the previous run is still running after 3 s", MESSAGE),
        ("how long a connection may be idle (default: it depends on --server)", MESSAGE),
    ),
    "semicolon": ("Write `a; b` in a shell.", "Send `Accept: text/html;q=0.9`."),
    "long-sentence": (
        " ".join(["word"] * 30) + ".",
        " ".join(["word"] * 20) + ". " + " ".join(["word"] * 20),
        "Write `" + "one two " * 40 + "`.",
    ),
    "people-pronoun": ("No client is lost.", "Some body of a request is read.", "Write `nobody`."),
    "term": (
        "Requests on keep-alive connections are lost.",
        "Set `T0`.",
        "The Kafka consumer commits its offset.",
        "The lifecycle hook of the pod runs.",
        "Install the Operator.",
    ),
    "negated-noun": (
        "aiohttp is not an ASGI server.",
        "There is no server.",
        "There may be no thread.",
        "The port is no longer open.",
        "The drain is no longer than 30 s.",
        "The pod has no gate.",
    ),
    "old-word": (
        "The app waits forever.",
        "Besides, the file is read.",
        "They are all the same size.",
        "Send one request, a pod answers.",
        "The command runs as PID 1 of a container.",
    ),
    "machine-speaks": (
        "The log contains the reason.",
        "The server is told to end.",
        "A person who knows the token may drain the app.",
        "The message says what to do.",
    ),
}


def found(text: str | tuple[str, Kind], file: str = "docs/page.md") -> list[str]:
    """Return the names of the rules that a text breaks."""
    words, kind = (text, Kind.PARAGRAPH) if isinstance(text, str) else text
    return [each.rule.name for each in findings(Text(file, 1, words, kind))]


def test_every_rule_is_here() -> None:
    """No rule is without examples, and each has a sentence for the writer."""
    names = [each.name for each in RULES]
    assert names == list(BAD) == list(GOOD)
    assert all(each.instead.endswith(f"(rule {each.guide} of the guide)") for each in RULES)


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule in BAD for text in BAD[rule]])
def test_what_breaks_a_rule(rule: str, text: str | tuple[str, Kind]) -> None:
    """The rule finds the sentence."""
    assert rule in found(text)


@pytest.mark.parametrize(("rule", "text"), [(rule, text) for rule in GOOD for text in GOOD[rule]])
def test_what_a_rule_leaves_alone(rule: str, text: str | tuple[str, Kind]) -> None:
    """The rule does not find the sentence."""
    assert rule not in found(text)


@pytest.mark.parametrize(
    "text",
    [
        "During every rollout, a Python service stops listening while clients can still find it.",
        "A count of 60 means that every keep-alive connection was lost in every rollout.",
        "The drain waits only for work that is counted. To count work anywhere in your app, wrap "
        "it in `with lifecycle.current().track():`.",
        "Exception: if the caller of preStop has already disconnected, this counts as an ordinary "
        "SIGTERM and the wait continues.",
        "If your app installed a signal handler, it is called after the drain. A signal that the "
        "handler sends to this process ends main and does not count as a second signal.",
        "If an init process forwards the signal only to the shell, the shell exits and its program "
        "dies with it.",
        ("Cannot start a thread (`{error}`): the pod or its user has reached its limit.", MESSAGE),
        ("No services are configured, so the app becomes READY at its first await.", MESSAGE),
        ("`--to DIR` is required with `-o kustomize` and not allowed with other formats.", MESSAGE),
    ],
)
def test_the_guide_s_own_sentences(text: str | tuple[str, Kind]) -> None:
    """What the guide recommends breaks no rule."""
    assert found(text) == []


def test_a_word_may_be_right_in_a_file() -> None:
    """The glossary names the old term, and the page on queues has consumers."""
    assert found("The drain starts at T0.", "docs/glossary.md") == []
    assert found("A consumer ends its loop.", "docs/queue-workers.md") == []


def test_a_finding_is_shown_with_its_code() -> None:
    """The report has the place, the words, and the sentence as it is written."""
    text = Text("docs/page.md", 7, "Good.\nRun `x; y`; then wait.", Kind.PARAGRAPH)
    assert [str(each) for each in findings(text)] == [
        "docs/page.md:8: semicolon: ; then\n    Run `x; y`; then wait."
    ]
