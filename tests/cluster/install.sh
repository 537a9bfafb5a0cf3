#!/usr/bin/env bash
# Installs what the test cluster takes from Debian, where it is missing and may be installed.
# install.sh --there only tells, by its exit code, whether everything is there.
set -euo pipefail
missing=0
for program in containerd runc nft conntrack ip /usr/lib/cni/ptp buildah redis-server; do
    command -v "$program" >/dev/null || missing=1
done
[ "$missing" = 1 ] || exit 0
[ "${1:-}" != --there ] || exit 1
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "the test cluster needs containerd, runc, nft, conntrack, ip, buildah, redis-server and the" \
        "CNI plugins in /usr/lib/cni: install them, or point KUBECONFIG at a cluster" >&2
    exit 1
fi
apt-get update -qq
# RUNLEVEL=1: Debian's scripts start no service then; the tests start their own.
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive apt-get install -qq --no-install-recommends \
    containerd runc containernetworking-plugins iproute2 nftables conntrack buildah redis-server \
    >/dev/null
