"""The numbers in the baseline only go down."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.plain_words import __main__ as plain_words

BAD = "The port is open; the app is not.\n\n"
NAMES = st.sampled_from(("README.md", "docs/a.md", "docs/b.md")), st.sampled_from(("term", "colon"))


@pytest.fixture
def page(tmp_path: Path) -> Path:
    """A repository with one page that has two findings, both known."""
    page = tmp_path / "docs" / "page.md"
    page.parent.mkdir()
    page.write_text(BAD * 2)
    assert run(page, "--update", "--allow-more") == 0
    return page


def run(page: Path, *arguments: str) -> int:
    """Run the lint in the page's repository."""
    root = page.parents[1]
    return plain_words.main(arguments, root, root / "baseline.json")


def test_what_is_known_is_tolerated(page: Path) -> None:
    """Nothing has changed, so nothing fails, wherever the sentences have moved to."""
    page.write_text(f"A new paragraph.\n\n{BAD * 2}")
    assert run(page) == 0


def test_one_more_fails(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The place, the sentence, the rule and what to write are printed."""
    page.write_text(BAD * 3)
    assert run(page) == 1
    said = capsys.readouterr().err
    assert "docs/page.md:5: semicolon: ; the\n    The port is open; the app is not.\n" in said
    assert "3 found, 2 known. Write two sentences." in said


def test_a_new_file_has_none(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A file that is not in the baseline may have no finding at all."""
    page.with_name("new.md").write_text(BAD)
    assert run(page) == 1
    assert "1 found, 0 known" in capsys.readouterr().err


def test_fewer_fail_until_they_are_written_down(
    page: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The command to run is printed; after it there is no way back."""
    page.write_text(BAD)
    assert run(page) == 1
    assert plain_words.UPDATE in capsys.readouterr().err
    assert run(page, "--update") == 0
    page.write_text(BAD * 2)
    assert run(page) == 1


def test_an_update_raises_nothing(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Unless it is told to."""
    page.write_text(BAD * 3)
    assert run(page, "--update") == 1
    assert "--allow-more" in capsys.readouterr().err
    assert run(page) == 1
    assert run(page, "--update", "--allow-more") == 0
    assert run(page) == 0


def test_a_file_can_be_listed(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """All findings of a file or folder are listed, those that are known too."""
    assert run(page, str(page.parent)) == 1
    assert capsys.readouterr().out.endswith("\n2 findings\n")
    page.write_text("Good.\n")
    assert run(page, str(page)) == 0
    with pytest.raises(SystemExit):
        run(page, "no-such-page.md")


def test_the_figures(page: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The habits are counted, and set into relation to the words."""
    page.write_text(
        f"{BAD}Run it. You wait: it is no app.\n\n> [!WARNING]\n> Stop.\n\n```\n;\n```\n"
    )
    assert run(page, "--count") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "1 pages, 20 words, 4 running sentences"
    assert {" ".join(each.split()[:-2]): int(each.split()[-2]) for each in lines[1:]} == {
        "you, your": 1,
        "hand-written sentences that begin with a command verb": 2,
        "sentences with a colon join": 1,
        "sentences with a semicolon": 1,
        "clauses with what or who as a noun": 0,
        "sentences and cells that open with a pronoun": 0,
        '"is no X"': 1,
        "sentences of more than 30 words": 0,
        "warning boxes": 1,
    }


@settings(deadline=None)
@given(st.dictionaries(st.tuples(*NAMES), st.integers(1, 99)))
def test_a_baseline_is_read_as_it_was_written(
    tmp_path_factory: pytest.TempPathFactory, counts: dict[tuple[str, str], int]
) -> None:
    """It has one line for each file, sorted."""
    file = tmp_path_factory.getbasetemp() / "baseline.json"
    plain_words.write(file, Counter(counts))
    assert plain_words.read(file) == counts
    lines = file.read_text().splitlines()[1:-1]
    assert lines == sorted(lines)
    assert len([line for line in lines if line]) == len({name for name, _ in counts})
