"""
Shell scripts, split into simple commands.

The reader understands words, quotes, comments, redirections, lists, pipes and compound commands.
It does not expand anything, so a variable or a substitution starts with `$` in the result. If the
reader does not understand a script, it raises `Unclear`, and the rules report nothing about it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

SUBSTITUTED: Final = "$()"
_ASSIGNMENT: Final = re.compile(r"[A-Za-z_]\w*\+?=")
_OPERATOR: Final = re.compile(r"&&|\|\||;;|\|&|[;&|()\n]")
_REDIRECTION: Final = re.compile(r"&>>?|<<-?(?!<)|<<<|[<>]&|>>|>\||<>|[<>]")
_OPENS: Final = {"if": "if", "while": "loop", "until": "loop", "for": "loop", "case": "case"}
_CLOSES: Final = ("fi", "done", "esac", "}")
_GOES_ON: Final = ("then", "else", "elif", "do", "!", "time")
_BRANCHES: Final = {"if", "loop", "case", "function"}
_BLANKS: Final = " \t\r"


class Unclear(Exception):
    """The reader does not understand a script."""


@dataclass
class Command:
    """
    One simple command.

    Attributes:
        words: The words, without assignments and redirections.
        certain: Whether the command runs unless an earlier command fails. Branches and loops do not.
        apart: Whether the command is in a pipe, in the background or in a subshell. An `exec` then
            replaces only that process.
        looped: Whether the command is in a loop.
        forked: Whether the command is in a pipe or in the background. A shell never replaces itself
            with such a command.
        background: Whether the command is in the background.
        inside: Whether the command is in a branch, or in the body of a loop or function.
        after: The separator before the command, such as `||`. A new line and the start count as `;`.
    """

    words: list[str] = field(default_factory=list)
    certain: bool = True
    apart: bool = False
    looped: bool = False
    forked: bool = False
    background: bool = False
    inside: bool = False
    after: str = ";"


def read_script(script: str) -> list[Command]:
    """
    Return the simple commands of a script, in order.

    Args:
        script: Text of the script.

    Raises:
        Unclear: A quote or a parenthesis has no end, a keyword is in a wrong place, or the script is
            nested too deeply.
    """
    try:
        return _Parser().read(script)
    except RecursionError:
        raise Unclear from None


@dataclass
class _Frame:
    """A compound command, with the starts of its list of commands and of its pipeline."""

    kind: str
    listed: int = 0
    piped: int = 0
    either: bool = False  # after ||
    in_pipe: bool = False


class _Parser:
    def __init__(self) -> None:
        self.found: list[Command] = []
        self.frames = [_Frame("script")]
        self.words: list[str] = []
        self.assigned = False  # no keyword can follow
        self.skipping = ""  # inside the head of `for`, `case` or `name ()`, which has no commands
        self.function = False
        self.after = ";"

    def read(self, script: str) -> list[Command]:
        for is_word, text in _tokens(script):
            if self.skipping:
                self.skip(text)
            elif is_word:
                self.word(text)
            elif self.words[:1] == ["[["] and self.words[-1] != "]]":
                continue  # `(`, `&&`, `||` of a test
            elif text in "()":
                self.parenthesis(text)
            else:
                self.operator(text)
        self.finish()
        if len(self.frames) > 1 or self.skipping:
            raise Unclear
        return self.found

    def skip(self, text: str) -> None:
        match self.skipping, text:
            case ("for", ";" | "\n") | ("function" | "pattern", ")"):
                self.skipping = ""
            case ("case", "in"):
                self.skipping = "pattern"
            case ("pattern", "esac"):
                self.skipping = ""
                self.close()
            case ("function", _):
                raise Unclear

    def word(self, text: str) -> None:
        if self.words:
            self.words.append(text)
        elif _ASSIGNMENT.match(text):
            self.assigned = True
        elif self.assigned or not self.keyword(text):
            self.words.append(text)

    def keyword(self, text: str) -> bool:
        if text in _OPENS:
            self.open(_OPENS[text])
            self.skipping = text if text in ("for", "case") else ""
        elif text == "{":
            self.open("function" if self.function else "group")
            self.function = False
        elif text in _CLOSES:
            self.close()
        else:
            return text in _GOES_ON
        return True

    def parenthesis(self, text: str) -> None:
        if text == ")":
            self.finish()
            self.close("subshell")
        elif not self.words:
            self.open("subshell")
        elif len(self.words) == 1:
            self.words, self.function, self.skipping = [], True, "function"
        else:
            raise Unclear

    def operator(self, text: str) -> None:
        self.finish()
        self.after = ";" if text == "\n" else text
        frame, now = self.frames[-1], len(self.found)
        if text in ("|", "|&"):
            self.set_apart(frame.piped)
            frame.in_pipe = True
            return
        if text == "&":
            self.set_apart(frame.listed)
            for each in self.found[frame.listed :]:
                each.background = True
        frame.in_pipe, frame.piped = False, now
        if text == "||":
            frame.either = True
        elif text != "&&":
            frame.either, frame.listed = False, now
        if text == ";;":
            self.skipping = "pattern"

    def set_apart(self, since: int) -> None:
        for each in self.found[since:]:
            each.apart = each.forked = True

    def finish(self) -> None:
        """End a simple command."""
        if self.words:
            kinds = {frame.kind for frame in self.frames}
            inside = bool(kinds & _BRANCHES)
            branch = inside or any(frame.either for frame in self.frames)
            forked = any(frame.in_pipe for frame in self.frames)
            apart = forked or "subshell" in kinds
            made = Command(self.words, not branch, apart, "loop" in kinds, forked)
            made.inside, made.after = inside, self.after
            self.found.append(made)
        self.words, self.assigned = [], False

    def open(self, kind: str) -> None:
        at = len(self.found)
        self.frames.append(_Frame(kind, at, at))

    def close(self, kind: str = "") -> None:
        if len(self.frames) == 1 or (kind and self.frames[-1].kind != kind):
            raise Unclear
        self.frames.pop()


def _tokens(script: str) -> Iterator[tuple[bool, str]]:
    """Give words and operators, without comments and redirections."""
    at = 0
    documents: list[str] = []
    redirected = ""
    while at < len(script):
        if script[at] in _BLANKS or script.startswith("\\\n", at):
            at += 1 + (script[at] == "\\")
        elif script[at] == "#":
            at = _end(script, "\n", at)
        elif found := _REDIRECTION.match(script, at):
            redirected, at = found[0], found.end()
        elif found := _OPERATOR.match(script, at):
            at = found.end()
            if found[0] == "\n":
                for name in documents:
                    at = _after_document(script, name, at)
                documents = []
            yield False, found[0]
        else:
            text, after = _word(script, at)
            number = script[at:after].isdigit() and script[after : after + 1] in ("<", ">")
            at = after
            if redirected.startswith("<<") and redirected != "<<<":
                documents.append(text)
            elif not redirected and not number:
                yield True, text
            redirected = ""


def _word(script: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    while at < len(script) and script[at] not in " \t\r\n;&|()<>":
        part, at = _part(script, at)
        parts.append(part)
    return "".join(parts), at


def _part(script: str, at: int) -> tuple[str, int]:
    """Read a quoted part, an expansion, or one character."""
    match script[at], script[at : at + 2]:
        case "\\", escaped:
            return escaped[1:].replace("\n", ""), at + 2
        case "'" | "`" as quote, _:
            end = _end(script, quote, at + 1, required=True)
            return SUBSTITUTED if quote == "`" else script[at + 1 : end], end + 1
        case '"', _:
            return _quoted(script, at + 1)
        case _, "$(":
            return SUBSTITUTED, _matching(script, at + 1, "(", ")")
        case _, "${":
            end = _matching(script, at + 1, "{", "}")
            return script[at:end], end
    return script[at], at + 1


def _quoted(script: str, at: int) -> tuple[str, int]:
    parts: list[str] = []
    while script[at : at + 1] != '"':
        if at >= len(script):
            raise Unclear
        part, at = (script[at], at + 1) if script[at] == "'" else _part(script, at)
        parts.append(part)
    return "".join(parts), at + 1


def _matching(script: str, at: int, opening: str, closing: str) -> int:
    depth = 0
    while at < len(script):
        if script[at] in "\\'\"":
            _, at = _part(script, at)
            continue
        depth += (script[at] == opening) - (script[at] == closing)
        at += 1
        if depth == 0:
            return at
    raise Unclear


def _end(script: str, wanted: str, at: int, *, required: bool = False) -> int:
    found = script.find(wanted, at)
    if found < 0 and required:
        raise Unclear
    return found if found >= 0 else len(script)


def _after_document(script: str, name: str, at: int) -> int:
    """Return the position after a here-document."""
    while at < len(script):
        end = _end(script, "\n", at)
        line, at = script[at:end].strip(), end + 1
        if line == name:
            break
    return min(at, len(script))
