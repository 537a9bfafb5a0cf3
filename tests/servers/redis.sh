#!/usr/bin/env bash
# Installs redis-server where it is missing and may be installed (Debian, as root).
set -euo pipefail
command -v redis-server >/dev/null && exit 0
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "redis-server is not there, and the tests of the queue worker need it: install it" >&2
    exit 1
fi
apt-get update -qq
# RUNLEVEL=1: Debian's scripts start no service then; the tests start their own.
RUNLEVEL=1 DEBIAN_FRONTEND=noninteractive \
    apt-get install -qq --no-install-recommends redis-server >/dev/null
