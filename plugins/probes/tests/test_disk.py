"""The plugin `disk`."""

from __future__ import annotations

import os

import pytest
from lifecycle_probes.disk import DiskOptions, judge
from lifecycle_probes.quantities import read_bytes, show_bytes

import lifecycle

GI = 2**30


def statvfs(*, size=100 * GI, free=50 * GI, inodes=1000, free_inodes=500, flag=0):
    """Make what the kernel would answer."""
    block = 4096
    blocks = [size // block, free // block, free // block]
    return os.statvfs_result((block, block, *blocks, inodes, free_inodes, free_inodes, flag, 255))


@pytest.mark.parametrize(
    ("found", "options", "ok", "reason"),
    [
        ({}, {}, True, "50 GiB of 100 GiB free (50.0 %), 50 % of inodes"),
        (
            {"free": 4 * GI},
            {},
            False,
            "4 GiB of 100 GiB free (4.0 %), at least 5 % required. Delete files or grow the volume",
        ),
        ({"free": 5 * GI}, {}, True, "5 GiB of 100 GiB free (5.0 %), 50 % of inodes"),
        (
            {"free": 9 * GI},
            {"min_bytes": "10Gi"},
            False,
            "9 GiB of 100 GiB free (9.0 %), at least 10 GiB required. "
            "Delete files or grow the volume",
        ),
        ({"free": 4 * GI}, {"min_percent": 0, "min_bytes": "1Gi"}, True, "4 GiB of 100 GiB free"),
        (
            {"free_inodes": 10},
            {},
            False,
            "10 of 1000 inodes free (1.0 %), at least 5 % required. There are too many small files",
        ),
        ({"free_inodes": 10}, {"min_inodes_percent": 1}, True, "50 GiB of 100 GiB free (50.0 %)"),
        ({"inodes": 0, "free_inodes": 0}, {}, True, "50 GiB of 100 GiB free (50.0 %)"),
        ({"size": 0, "free": 0}, {}, False, "0 B of 0 B free (0.0 %)"),
        ({"flag": os.ST_RDONLY}, {}, False, "mounted read-only"),
    ],
)
def test_room_is_compared_with_the_thresholds(found, options, ok, reason):
    """Bytes, percent, inodes; a filesystem that counts no inodes is not short of them."""
    result = judge("/data", statvfs(**found), DiskOptions(("/data",), **options))

    assert (ok, "/data") == (result.ok, result.name)
    assert result.reason.startswith(reason)


def test_all_that_is_short_is_named():
    """Bytes and inodes at once: who frees one must know of the other."""
    result = judge("/data", statvfs(free=0, free_inodes=0), DiskOptions(("/data",)))

    assert "0 B of 100 GiB free (0.0 %)" in result.reason
    assert "0 of 1000 inodes free" in result.reason


def test_real_paths_have_an_answer_each(ask, tmp_path):
    """One that is there, and one that is not."""
    answers = ask(
        "disk",
        DISK_PATHS=f"{tmp_path},{tmp_path}/missing",
        DISK_MIN_PERCENT="0",
        DISK_MIN_INODES_PERCENT="0",
    )

    assert answers[f"disk.{tmp_path}"]["ok"]
    assert " free (" in answers[f"disk.{tmp_path}"]["reason"]
    missing = answers[f"disk.{tmp_path}/missing"]
    assert not missing["ok"]
    assert missing["reason"].startswith("cannot be read (No such file or directory)")


def test_more_than_there_is_is_short(ask, tmp_path):
    """A threshold that no disk meets, on a real one."""
    answers = ask("disk", DISK_PATHS=str(tmp_path), DISK_MIN_BYTES="9000Ti")

    assert not answers[f"disk.{tmp_path}"]["ok"]
    assert "at least 9000 TiB required" in answers[f"disk.{tmp_path}"]["reason"]


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ({"DISK_PATHS": "data"}, "LIFECYCLE_DISK_PATHS"),
        ({"DISK_PATHS": "/data,/data"}, "LIFECYCLE_DISK_PATHS"),
        ({"DISK_MIN_PERCENT": "101"}, "LIFECYCLE_DISK_MIN_PERCENT"),
        ({"DISK_MIN_PERCENT": "-1"}, "LIFECYCLE_DISK_MIN_PERCENT"),
        ({"DISK_MIN_INODES_PERCENT": "nan"}, "LIFECYCLE_DISK_MIN_INODES_PERCENT"),
        ({"DISK_MIN_BYTES": "1 GB"}, "LIFECYCLE_DISK_MIN_BYTES"),
        ({"DISK_TIMEOUT": "0"}, "LIFECYCLE_DISK_TIMEOUT"),
    ],
)
def test_a_bad_option_names_the_variable(ask, variables, variable):
    """An error at start, not a probe that is wrong."""
    with pytest.raises(lifecycle.ConfigError, match=variable):
        ask("disk", **variables)


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("0", 0),
        ("1048576", 2**20),
        ("512Mi", 512 * 2**20),
        ("1.5Gi", 3 * 2**29),
        ("2G", 2 * 10**9),
        ("1k", 1000),
        ("1Ti", 2**40),
    ],
)
def test_bytes_are_read_as_kubernetes_writes_them(text, value):
    """Binary and decimal units, and fractions."""
    assert value == read_bytes(text)


@pytest.mark.parametrize("text", ["", "Gi", "-1", "nan", "inf", "1e999", "1Gb", "1GiB", "ten"])
def test_what_is_no_quantity_is_refused(text):
    """With examples of what is."""
    with pytest.raises(ValueError, match="like 1073741824, 512Mi, 1Gi or 2G"):
        read_bytes(text)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0 B"),
        (1023, "1023 B"),
        (1024, "1 KiB"),
        (1536 * 2**20, "1.5 GiB"),
        (1010 * 2**20, "1010 MiB"),
        (9000 * 2**40, "9000 TiB"),
    ],
)
def test_bytes_are_shown_for_people(value, text):
    """Four digits, and the largest unit that leaves a whole part."""
    assert text == show_bytes(value)
