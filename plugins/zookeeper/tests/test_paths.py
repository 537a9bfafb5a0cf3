"""Names of nodes, which any text can become."""

from __future__ import annotations

from urllib.parse import unquote, unquote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st
from lifecycle_zookeeper.paths import as_name, is_path, java_encoded

TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(TEXT, TEXT)
def test_two_texts_never_have_the_same_name(one: str, other: str) -> None:
    assert (as_name(one) == as_name(other)) is (one == other)


@given(TEXT)
def test_each_text_has_a_name_that_zookeeper_takes(text: str) -> None:
    """And a client can read the text from it."""
    name = as_name(text)
    assert is_path(f"/{name}")
    assert "/" not in name
    assert text == "" or unquote(name) == text


@pytest.mark.parametrize("text", [".", "..", "...", ""])
def test_names_of_dots_are_escaped(text: str) -> None:
    assert is_path(f"/x/{as_name(text)}")


NAMES = {
    "com.acme.Greeter": "com.acme.Greeter",
    "v1/orders": "v1%2Forders",
    "a b~c": "a%20b~c",
    "[::1]:80": "%5B::1%5D:80",
}


@pytest.mark.parametrize("text", NAMES)
def test_usual_names_stay_readable(text: str) -> None:
    assert as_name(text) == NAMES[text]


# As java.net.URLEncoder does it with UTF-8.
JAVA = {
    "tri://10.0.0.7:50051/a.B?x=1&y=2": "tri%3A%2F%2F10.0.0.7%3A50051%2Fa.B%3Fx%3D1%26y%3D2",
    "a b+c": "a+b%2Bc",
    "-_.*~": "-_.*%7E",
    "é/ü": "%C3%A9%2F%C3%BC",
    "(!'),;@$[]": "%28%21%27%29%2C%3B%40%24%5B%5D",
}


@pytest.mark.parametrize("text", JAVA)
def test_a_url_is_encoded_as_java_does_it(text: str) -> None:
    assert java_encoded(text) == JAVA[text]


@given(TEXT)
def test_any_text_comes_back_from_javas_encoding(text: str) -> None:
    encoded = java_encoded(text)
    assert unquote_plus(encoded) == text
    assert set(encoded) <= set(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-*_+%"
    )


@pytest.mark.parametrize(
    "path", ["", "/", "a", "/a/", "//a", "/a//b", "/.", "/a/..", "/a\x00", "/\x9f", "/\uf000"]
)
def test_what_zookeeper_refuses_is_no_path(path: str) -> None:
    assert not is_path(path)
