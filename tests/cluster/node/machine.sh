#!/bin/sh
# The node from outside: it lives until stdin ends, and whoever closed it, nothing is left.
# machine.sh STATE CONTROL_GROUP...
set -u
state=$1
shift
unshare --mount --net --pid --fork --mount-proc sh "$(dirname "$0")/init.sh" "$state"
for group; do
    for attempt in $(seq 50); do # the kernel takes a moment to see that they are empty
        find "$group" -depth -type d -exec rmdir {} + 2>/dev/null && break
        sleep 0.1
    done
done
rm -rf "$state"
