#!/bin/sh
# PID 1 of the node, in namespaces of its own: when its stdin ends, everything in them does.
set -eu
state=$1

# What containerd, the CNI plugins and the kubelet write to fixed places stays in the state folder.
for dir in run var/lib var/log; do
    mkdir -p "$state/$dir"
    mount --bind "$state/$dir" "/$dir"
done

# The kubelet sets these, and they belong to the whole machine: it finds what it wants to find.
pretend() {
    shown="$state/$(echo "$1" | tr / .)"
    echo "$2" >"$shown"
    mount --bind "$shown" "/proc/sys/$1"
}
pretend vm/overcommit_memory 1
pretend vm/panic_on_oom 0
pretend kernel/panic 10
pretend kernel/panic_on_oops 1
pretend kernel/keys/root_maxkeys 1000000
pretend kernel/keys/root_maxbytes 25000000

ip link set lo up
echo 1 >/proc/sys/net/ipv4/ip_forward
echo up
exec env --ignore-signal=CHLD cat # whose orphans the kernel reaps
