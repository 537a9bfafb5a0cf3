"""What the programs of the node are told: their flags and files."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tests.cluster.machine import Machine

NODE = "node"
"""The node's name."""
PORT = 6443

_USERS = {
    "admin": "system:masters",
    f"system:node:{NODE}": "system:nodes",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "system:kube-proxy": "",
}


class Settings:
    """Write every file into the machine's state folder, and know each program's command."""

    def __init__(self, machine: Machine, programs: Path, pause: str) -> None:
        self._machine = machine
        self._node = str(programs / "node")
        self._folder = machine.state / "settings"
        self._certificate = self._folder / "apiserver.crt"
        self._folder.mkdir(mode=0o700)
        tokens = {user: secrets.token_hex(16) for user in _USERS}
        rows = [f'{tokens[user]},{user},{user},"{group}"' for user, group in _USERS.items()]
        self._write("tokens.csv", "\n".join(rows))
        for user, token in tokens.items():
            self._write(f"{user}.kubeconfig", json.dumps(self._kubeconfig(token)))
        self._write("containerd.toml", self._containerd(pause))
        (self._folder / "cni").mkdir()
        self._write("cni/10-pods.conflist", json.dumps(self._cni()))
        self._write("kubelet.json", json.dumps(self._kubelet()))
        self._write("kube-proxy.json", json.dumps(self._kube_proxy()))

    @property
    def kubeconfig(self) -> Path:
        """The administrator's."""
        return self._path("admin.kubeconfig")

    @property
    def url(self) -> str:
        """The API server's."""
        return f"https://{self._machine.address}:{PORT}"

    def commands(self) -> Mapping[str, list[str]]:
        """Return every program's command, in the order of start."""
        state = self._machine.state
        key = self._path("apiserver.key")  # the API server makes it, and its certificate
        flags: dict[str, dict[str, object]] = {
            "etcd": {
                "data-dir": state / "etcd",
                "unsafe-no-fsync": True,
                "log-level": "warn",
            },
            "kube-apiserver": {
                "etcd-servers": "http://127.0.0.1:2379",
                "advertise-address": self._machine.address,
                "secure-port": PORT,
                "cert-dir": self._folder,
                "service-cluster-ip-range": self._machine.services,
                "service-account-issuer": "https://kubernetes.default.svc",
                "service-account-key-file": key,
                "service-account-signing-key-file": key,
                "token-auth-file": self._path("tokens.csv"),
                "authorization-mode": "Node,RBAC",
                "allow-privileged": True,
                "kubelet-preferred-address-types": "InternalIP",
            },
            "kube-controller-manager": {
                "kubeconfig": self._path("system:kube-controller-manager.kubeconfig"),
                "service-account-private-key-file": key,
                "root-ca-file": self._certificate,
                "use-service-account-credentials": True,
                "leader-elect": False,
            },
            "kube-scheduler": {
                "kubeconfig": self._path("system:kube-scheduler.kubeconfig"),
                "leader-elect": False,
            },
            "kubelet": {
                "kubeconfig": self._path(f"system:node:{NODE}.kubeconfig"),
                "config": self._path("kubelet.json"),
                "hostname-override": NODE,
                "node-ip": self._machine.address,
            },
            "kube-proxy": {
                "config": self._path("kube-proxy.json"),
                "hostname-override": NODE,
            },
        }
        commands = {"containerd": ["containerd", "--config", str(self._path("containerd.toml"))]}
        for program, options in flags.items():
            words = [
                f"--{name}={str(value).lower() if isinstance(value, bool) else value}"
                for name, value in options.items()
            ]
            commands[program] = [self._node, program, *words]
        return commands

    def _path(self, name: str) -> Path:
        return self._folder / name

    def _write(self, name: str, content: str) -> None:
        self._path(name).write_text(content)

    def _kubeconfig(self, token: str) -> dict[str, Any]:
        cluster = {"server": self.url, "certificate-authority": str(self._certificate)}
        return {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": cluster}],
            "users": [{"name": "it", "user": {"token": token}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "current-context": "it",
        }

    def _containerd(self, pause: str) -> str:
        return f"""
            version = 2
            [plugins."io.containerd.grpc.v1.cri"]
              sandbox_image = "{pause}"
              disable_apparmor = true
              restrict_oom_score_adj = true
            [plugins."io.containerd.grpc.v1.cri".cni]
              bin_dir = "/usr/lib/cni"
              conf_dir = "{self._path("cni")}"
            [plugins."io.containerd.grpc.v1.cri".containerd]
              snapshotter = "overlayfs"
            [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
              runtime_type = "io.containerd.runc.v2"
            [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
              SystemdCgroup = false
        """

    def _cni(self) -> dict[str, Any]:
        """Give every pod a link of its own: on a bridge, ClusterIPs between pods need a module."""
        subnet = [[{"subnet": self._machine.pods}]]
        ipam = {"type": "host-local", "ranges": subnet, "routes": [{"dst": "0.0.0.0/0"}]}
        return {
            "cniVersion": "1.0.0",
            "name": "pods",
            "plugins": [
                {"type": "ptp", "ipam": ipam},
                {"type": "portmap", "capabilities": {"portMappings": True}},
            ],
        }

    def _kubelet(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubelet.config.k8s.io/v1beta1",
            "kind": "KubeletConfiguration",
            # Only this machine and the pods reach the node's address.
            "authentication": {"anonymous": {"enabled": True}, "webhook": {"enabled": False}},
            "authorization": {"mode": "AlwaysAllow"},
            "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
            "cgroupDriver": "cgroupfs",
            "cgroupRoot": f"/{self._machine.name}",
            "enforceNodeAllocatable": [],
            "failCgroupV1": False,
            "failSwapOn": False,
            "oomScoreAdj": 0,
            # The disk of a developer's machine is nobody's business here.
            "evictionHard": {
                "memory.available": "0%",
                "nodefs.available": "0%",
                "nodefs.inodesFree": "0%",
                "imagefs.available": "0%",
            },
            "imageGCHighThresholdPercent": 100,
            "imageGCLowThresholdPercent": 99,
            "resolvConf": "",
            # Nobody answers there; without one, every pod gets a warning.
            "clusterDNS": [self._machine.services.replace("0/24", "10")],
            "clusterDomain": "cluster.local",
        }

    def _kube_proxy(self) -> dict[str, Any]:
        return {
            "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
            "kind": "KubeProxyConfiguration",
            "clientConnection": {"kubeconfig": str(self._path("system:kube-proxy.kubeconfig"))},
            "mode": "nftables",
            "detectLocalMode": "ClusterCIDR",
            "clusterCIDR": self._machine.pods,
            "conntrack": {"maxPerCore": 0, "min": 0},
            "oomScoreAdj": 0,
        }
