"""The plugin `memory`: every layout of cgroups that a container may see."""

from __future__ import annotations

import pytest
from lifecycle_probes.cgroup import Cgroups, Level, Pressure
from lifecycle_probes.eviction import QosClass, class_from_paths, class_from_score
from lifecycle_probes.memory import MemoryOptions, MemoryProbe

import lifecycle

MI, GI = 2**20, 2**30
UNLIMITED_V1 = 9223372036854771712
IN_POD = {"KUBERNETES_SERVICE_HOST": "10.96.0.1"}
POD = "kubepods-burstable-pod1234_5678.slice"
SYSTEMD = f"/kubepods.slice/kubepods-burstable.slice/{POD}"
V2_MOUNT = "31 23 0:26 / /sys/fs/cgroup ro,nosuid - cgroup2 cgroup rw,nsdelegate\n"


def machine(cgroup, mounts, *, oom_score_adj=0, pressure=None):
    files = {
        "/proc/self/cgroup": cgroup,
        "/proc/self/mountinfo": "22 27 0:21 / /proc rw - proc proc rw\n" + mounts,
        "/proc/meminfo": f"MemTotal:       {8 * GI // 1024} kB\nMemFree:        1 kB\n",
        "/proc/self/oom_score_adj": f"{oom_score_adj}\n",
    }
    if pressure is not None:
        files["/proc/pressure/memory"] = psi(pressure)
    return files


def psi(full):
    return (
        f"some avg10={full + 1:.2f} avg60=0.00 avg300=0.00 total=7\n"
        f"full avg10={full:.2f} avg60=0.00 avg300=0.00 total=7\n"
    )


def v1(folder, usage, inactive, limit=UNLIMITED_V1, hierarchical=UNLIMITED_V1):
    return {
        f"{folder}/memory.usage_in_bytes": f"{usage}\n",
        f"{folder}/memory.limit_in_bytes": f"{limit}\n",
        f"{folder}/memory.stat": f"inactive_file 1\nhierarchical_memory_limit {hierarchical}\n"
        f"total_inactive_file {inactive}\n",
    }


def v2(folder, usage, inactive, limit="max", full=None):
    files = {
        f"{folder}/memory.current": f"{usage}\n",
        f"{folder}/memory.max": f"{limit}\n",
        f"{folder}/memory.stat": f"anon 5\nfile 6\ninactive_file {inactive}\nactive_file 2\n",
        f"{folder}/cgroup.events": "populated 1\nfrozen 0\n",
    }
    if full is not None:
        files[f"{folder}/memory.pressure"] = psi(full)
    return files


def v1_mount(root):
    return (
        "31 23 0:28 / /sys/fs/cgroup rw - tmpfs tmpfs rw,mode=755\n"
        f"34 31 0:31 {root} /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
        f"35 31 0:32 {root} /sys/fs/cgroup/memory rw,relatime master:9 - cgroup cgroup rw,memory\n"
    )


IN_V1 = "11:cpu,cpuacct:{0}\n4:memory:{0}\n1:name=systemd:{0}\n"
V1, V2 = "/sys/fs/cgroup/memory", "/sys/fs/cgroup"

LAYOUTS = {
    "v2, private namespace: what is mounted is the container's own": (
        machine("0::/\n", V2_MOUNT) | v2(V2, 300 * MI, 44 * MI, 512 * MI),
        [Level("/", 256 * MI, 512 * MI)],
    ),
    "v2, the node's namespace: the path leads there, and the parents count": (
        machine(f"0::{SYSTEMD}/cri-1.scope\n", V2_MOUNT)
        | v2(f"{V2}{SYSTEMD}/cri-1.scope", 300 * MI, 44 * MI)
        | v2(f"{V2}{SYSTEMD}", 400 * MI, 0, GI),
        [
            Level(f"{SYSTEMD[1:]}/cri-1.scope", 256 * MI, None),
            Level(SYSTEMD[1:], 400 * MI, GI),
        ],
    ),
    "v2, nested: a manager inside the container has made cgroups of its own": (
        machine("0::/init.scope\n", V2_MOUNT)
        | v2(f"{V2}/init.scope", 100 * MI, 0)
        | v2(V2, 300 * MI, 0, 512 * MI),
        [Level("init.scope", 100 * MI, None), Level("/", 300 * MI, 512 * MI)],
    ),
    "v2, moved out of its namespace's root: the mount is all there is to see": (
        machine("0::/../other\n", V2_MOUNT) | v2(V2, 300 * MI, 0, 512 * MI),
        [Level("/", 300 * MI, 512 * MI)],
    ),
    "v2, the root of the node: it has no memory files": (machine("0::/\n", V2_MOUNT), []),
    "v1, as Docker mounts it: the mount's root is the container's path": (
        machine(
            IN_V1.format("/kubepods/burstable/podA/c1"), v1_mount("/kubepods/burstable/podA/c1")
        )
        | v1(V1, 300 * MI, 44 * MI, 512 * MI),
        [Level("/", 256 * MI, 512 * MI)],
    ),
    "v1, the node's tree: the path leads there": (
        machine(IN_V1.format("/kubepods/podA/c1"), v1_mount("/"))
        | v1(f"{V1}/kubepods/podA/c1", 300 * MI, 44 * MI, 512 * MI)
        | v1(V1, 7 * GI, GI),
        [
            Level("kubepods/podA/c1", 256 * MI, 512 * MI),
            Level("/", 6 * GI, UNLIMITED_V1),
        ],
    ),
    "v1: a limit above the mount shows in memory.stat": (
        machine(IN_V1.format("/"), v1_mount("/")) | v1(V1, 300 * MI, 0, hierarchical=GI),
        [Level("/", 300 * MI, GI)],
    ),
    "v1, a part of the tree is mounted: the path goes on below it": (
        machine(IN_V1.format("/docker/c1/own"), v1_mount("/docker/c1"))
        | v1(f"{V1}/own", 100 * MI, 0, 256 * MI),
        [Level("own", 100 * MI, 256 * MI)],
    ),
    "hybrid: memory is in v1, whatever v2 says": (
        machine(
            IN_V1.format("/c1") + "0::/c1\n",
            v1_mount("/") + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
        )
        | v1(f"{V1}/c1", 300 * MI, 44 * MI, 512 * MI),
        [Level("c1", 256 * MI, 512 * MI)],
    ),
    "a mount from outside the namespace: it does not show which cgroup is ours": (
        machine(IN_V1.format("/"), v1_mount("/..")) | v1(V1, 7 * GI, 0),
        [],
    ),
    "v2 with leftover v1 lines that have no mount": (
        machine("4:memory:/c1\n0::/\n", V2_MOUNT) | v2(V2, 300 * MI, 44 * MI, 512 * MI),
        [Level("/", 256 * MI, 512 * MI)],
    ),
    "a mount point with a blank in its name": (
        machine("0::/\n", V2_MOUNT.replace("/sys/fs/cgroup", r"/my\040cgroups"))
        | v2("/my cgroups", 300 * MI, 0, 512 * MI),
        [Level("/", 300 * MI, 512 * MI)],
    ),
    "more is reclaimable than is used": (
        machine("0::/\n", V2_MOUNT) | v2(V2, 10 * MI, 44 * MI, 512 * MI),
        [Level("/", 0, 512 * MI)],
    ),
    "no cgroups mounted": (machine("0::/\n", ""), []),
    "no /proc at all": ({}, []),
}


@pytest.mark.parametrize(("files", "levels"), LAYOUTS.values(), ids=LAYOUTS)
def test_the_containers_own_cgroups_are_found(tree, files, levels):
    """Its own first, then those above; the working set is usage without inactive files."""
    assert levels == Cgroups(tree(files)).levels()


PRESSURES = {
    "the container's own": (
        machine("0::/\n", V2_MOUNT, pressure=50) | v2(V2, 1, 0, full=3.5),
        Pressure(4.5, 3.5, of_node=False),
    ),
    "the root's is the node's": (
        machine("0::/\n", V2_MOUNT, pressure=2) | {f"{V2}/memory.pressure": psi(2)},
        Pressure(3, 2, of_node=True),
    ),
    "v1 has the node's only": (
        machine(IN_V1.format("/"), v1_mount("/"), pressure=2),
        Pressure(3, 2, of_node=True),
    ),
    "hybrid: the v2 tree has the container's own": (
        machine(
            IN_V1.format("/c1") + "0::/c1\n",
            v1_mount("/") + "41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
            pressure=50,
        )
        | {f"{V2}/unified/c1/cgroup.events": "", f"{V2}/unified/c1/memory.pressure": psi(9)},
        Pressure(10, 9, of_node=False),
    ),
    "a kernel without PSI": (machine("0::/\n", V2_MOUNT) | v2(V2, 1, 0), None),
}


@pytest.mark.parametrize(("files", "pressure"), PRESSURES.values(), ids=PRESSURES)
def test_pressure_is_read_where_the_kernel_tells_it(tree, files, pressure):
    """And whose it is, is said."""
    assert pressure == Cgroups(tree(files)).pressure()


@pytest.mark.parametrize(
    ("path", "qos_class"),
    [
        ("/kubepods/burstable/pod1/c", QosClass.BURSTABLE),
        ("/kubepods/besteffort/pod1/c", QosClass.BEST_EFFORT),
        ("/kubepods/pod1/c", QosClass.GUARANTEED),
        (f"{SYSTEMD}/cri-containerd-1.scope", QosClass.BURSTABLE),
        (
            "/kubepods.slice/kubepods-besteffort.slice/kubepods-besteffort-pod1.slice/crio-1.scope",
            QosClass.BEST_EFFORT,
        ),
        ("/kubepods.slice/kubepods-pod1.slice/cri-containerd-1.scope", QosClass.GUARANTEED),
        (
            "/system.slice/containerd.service/kubepods-burstable-pod1.slice:cri:1",
            QosClass.BURSTABLE,
        ),
        (
            "/kubelet.slice/kubelet-kubepods.slice/kubelet-kubepods-besteffort.slice/x",
            QosClass.BEST_EFFORT,
        ),
        ("/kubepods/burstable/podA/c/kubelet/kubepods/podB/c", QosClass.GUARANTEED),
        ("/user.slice/user-1000.slice", None),
        ("/docker/abc", None),
        ("/", None),
    ],
)
def test_the_path_tells_the_qos_class(path, qos_class):
    """Both cgroup drivers, containerd and CRI-O, kind; of nested pods the inner one."""
    assert qos_class is class_from_paths(["/", path])


@pytest.mark.parametrize(
    ("score", "qos_class"),
    [
        (-997, QosClass.GUARANTEED),
        (-998, QosClass.GUARANTEED),
        (2, QosClass.BURSTABLE),
        (999, QosClass.BURSTABLE),
        (1000, QosClass.BEST_EFFORT),
        (0, None),
        (1, None),
        (-1000, None),
        (None, None),
    ],
)
def test_the_oom_score_tells_the_qos_class(score, qos_class):
    """As the kubelet sets it."""
    assert qos_class is class_from_score(score)


def look(root, *, environ=IN_POD, **options):
    return MemoryProbe(root, environ).look(MemoryOptions(**options))


def private_v2(usage, limit, *, oom_score_adj=950, full=0.0):
    return machine("0::/\n", V2_MOUNT, oom_score_adj=oom_score_adj) | v2(V2, usage, 0, limit, full)


def test_over_the_threshold_says_what_happens_and_what_to_do(tree):
    """The whole reason, once."""
    result = look(tree(private_v2(461 * MI, 512 * MI)), max_percent=85)

    assert not result.ok
    assert result.reason == (
        "working set 461 MiB is 90.0 % of the limit 512 MiB, 85 % allowed. At 100 % the kernel "
        "kills the container. Raise its memory limit, or find what grows; in this container all "
        "tasks waited for memory 0 % of the last 10 s; QoS class Burstable: if the node runs "
        "short of memory, this pod is evicted early while it uses more than its memory request "
        "(lowest priority first, then the largest excess), otherwise last"
    )


def test_at_the_threshold_it_is_ready(tree):
    """`max_percent` is what is allowed."""
    assert look(tree(private_v2(256 * MI, 512 * MI)), max_percent=50).ok


def test_the_cgroup_nearest_to_its_limit_decides(tree):
    """The pod's limit counts when a sidecar eats it, and it is named."""
    files = LAYOUTS["v2, the node's namespace: the path leads there, and the parents count"][0]

    result = look(tree(files), max_percent=30)

    assert not result.ok
    assert (
        f"400 MiB is 39.1 % of the limit 1 GiB of the cgroup {SYSTEMD[1:]} above" in result.reason
    )


def test_without_a_limit_the_node_is_the_measure(tree):
    """It is said, since then the node's other pods are in danger too."""
    result = look(tree(private_v2(7 * GI, "max")), max_percent=85)

    assert not result.ok
    assert "7 GiB is 87.5 % of the node's 8 GiB, because no memory limit is set" in result.reason


def test_a_limit_beyond_the_nodes_memory_is_none(tree):
    """The node runs out first."""
    assert "the node's 8 GiB" in look(tree(private_v2(GI, 16 * GI)), max_percent=85).reason


def test_too_much_pressure_is_not_ready(tree):
    """The container's own."""
    result = look(tree(private_v2(MI, GI, full=30.5)), max_pressure=20)

    assert not result.ok
    assert (
        "in this container all tasks waited for memory 30.5 % of the last 10 s, 20 % allowed. "
        "It reclaims memory instead of working" in result.reason
    )


def test_the_nodes_pressure_takes_no_pod_out(tree):
    """It would take all of them out at once; it is shown."""
    result = look(tree(machine("0::/\n", V2_MOUNT, pressure=90)), max_pressure=20)

    assert result.ok
    assert "in the node all tasks waited for memory 90 % of the last 10 s" in result.reason
    assert "max_pressure is not checked, because only the node's is known" in result.reason


def test_what_cannot_be_measured_takes_nobody_out(tree):
    """A laptop, another system: the reason says that nothing was measured."""
    result = look(tree({}), environ={}, max_percent=85, max_pressure=20)

    assert result.ok
    assert result.reason == (
        "not measured, because no memory cgroup is visible; max_pressure is not checked, "
        "because the kernel has no memory pressure; QoS class unknown (not a pod)"
    )


@pytest.mark.parametrize(
    ("score", "words"),
    [
        (-997, "QoS class Guaranteed: if the node runs short of memory, this pod is evicted last"),
        (
            1000,
            "QoS class BestEffort: this pod requests no memory, so if the node runs short, it is",
        ),
        (0, "QoS class unknown (neither cgroup nor oom_score_adj show it)"),
    ],
)
def test_each_qos_class_says_what_it_means(tree, score, words):
    """Where the path does not show it, by the score."""
    files = private_v2(MI, GI, oom_score_adj=score)

    assert words in look(tree(files), max_percent=85).reason


def test_outside_a_pod_the_score_means_nothing(tree):
    """A desktop sets 200 for its own reasons."""
    files = private_v2(MI, GI, oom_score_adj=200)

    assert "QoS class unknown (not a pod)" in look(tree(files), environ={}, max_percent=85).reason


def test_this_machines_own_cgroups_are_read(ask):
    """Whatever this machine has: a working set that is no nonsense, found by the real plugin."""
    answer = ask("memory", MEMORY_MAX_PERCENT="100")["memory"]
    levels, node = Cgroups().levels(), Cgroups().node_memory()

    assert answer["ok"], answer
    assert "QoS class" in answer["reason"]
    assert answer["reason"].startswith("working set " if levels else "not measured: ")
    assert all(0 < level.working_set < node for level in levels)


@pytest.mark.parametrize(
    ("variables", "variable"),
    [
        ({"MEMORY_MAX_PERCENT": "0"}, "LIFECYCLE_MEMORY_MAX_PERCENT"),
        ({"MEMORY_MAX_PERCENT": "300"}, "LIFECYCLE_MEMORY_MAX_PERCENT"),
        ({"MEMORY_MAX_PERCENT": "85%"}, "LIFECYCLE_MEMORY_MAX_PERCENT"),
        ({"MEMORY_MAX_PRESSURE": "-1"}, "LIFECYCLE_MEMORY_MAX_PRESSURE"),
    ],
)
def test_a_bad_option_names_the_variable(ask, variables, variable):
    """An error at start."""
    with pytest.raises(lifecycle.ConfigError, match=variable):
        ask("memory", **variables)
