"""The limits that `lifecycle manifests` knows are those of the parts that set them."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lifecycle.manifests.validation import Refused, check_amount, check_run_dir
from lifecycle.qos.control_socket import candidates


@pytest.mark.parametrize(("spare", "fits"), [(0, True), (-1, False)])
def test_a_folder_that_is_taken_holds_the_socket(tmp_path: Path, spare: int, fits: bool) -> None:
    """The longest folder that is taken is the longest in which the kernel makes a socket."""
    (shortest,) = candidates(22222, f"{tmp_path}/")
    folder = tmp_path / ("a" * (107 - len(os.fsencode(shortest)) - spare))
    folder.mkdir()
    (path,) = candidates(22222, str(folder))

    with socket.socket(socket.AF_UNIX) as sock:
        if fits:
            sock.bind(path)
            check_run_dir(str(folder), 22222)
        else:
            with pytest.raises(OSError, match="too long"):
                sock.bind(path)
            with pytest.raises(Refused, match="may have at most 107 bytes"):
                check_run_dir(str(folder), 22222)


@pytest.mark.parametrize("text", ["1e0", "1E1", ".5", "1.", "2.5e3", "500m", "1500000u", "10k"])
def test_amounts_of_cpu(text: str) -> None:
    """They are written as Kubernetes' own are: with a fraction, an exponent or a suffix."""
    check_amount("cpu", text)


@pytest.mark.parametrize("text", ["1Mi", "1.5Gi", "1e9", "1048576", "2048Ki", "1Pi", "512M"])
def test_amounts_of_memory(text: str) -> None:
    """The suffixes are those of both bases."""
    check_amount("memory", text)


@pytest.mark.parametrize("of", ["cpu", "memory"])
@pytest.mark.parametrize(
    "text",
    ["", "lots", "0", "-1", "1.2.3", "1e", "1e3k", "1ki", "1m0", "1u", "99999999999999999999E"],
)
def test_what_no_container_can_have(of: str, text: str) -> None:
    """What is no quantity is refused, and so is none of it, and more than there is."""
    with pytest.raises(Refused, match=f"--{of} .* is not a quantity from"):
        check_amount(of, text)


def test_a_thousandth_of_a_byte() -> None:
    """The suffix that CPU has most often is a mistake in memory."""
    with pytest.raises(Refused, match="from 1Mi to 1Pi"):
        check_amount("memory", "256m")
