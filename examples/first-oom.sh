#!/bin/sh
# A container runs out of memory and explains itself. Needs root and what `make setup build` makes; `make run` does both.
# Exits 0 only if the kill was seen as an event, before the exit that it caused, and could be explained.
set -eu
cd "$(dirname "$0")/.."
vigil=$PWD/build/bin/vigil

fail() {
        echo "first-oom: $1" >&2
        exit 1
}
[ "$(id -u)" -eq 0 ] || fail "containers need root: try again with sudo"
[ -x "$vigil" ] || fail "nothing is built yet: make setup build"

name=first-oom-$$
work=$(mktemp -d)
events=$work/events
watcher=
printer=

clean_up() {
        [ -z "$watcher" ] || kill "$watcher" 2>/dev/null || :
        # Ends by itself when the watcher does.
        [ -z "$printer" ] || wait "$printer" || :
        rm -rf "$work"
}
remove() {
        "$vigil" rm -f "$name" 2>/dev/null || :
        clean_up
}
trap remove EXIT
trap 'exit 130' INT TERM

echo "== Watching what happens to $name:"
echo "   \$ vigil events --follow --container $name"
"$vigil" events --follow --container "$name" >"$events" &
watcher=$!
tail -n +1 -f --pid="$watcher" "$events" | sed -u 's/^/   event | /' &
printer=$!

echo "== Running a program that never stops reading, in 32 MiB:"
echo "   \$ vigil run --name $name --memory 32m -- tail /dev/zero"
status=0
"$vigil" run --name "$name" --memory 32m -- tail /dev/zero || status=$?

# The event is on its way; a minute is for a machine under emulation.
waited=0
until grep -q "exited with" "$events" || [ "$waited" -ge 600 ]; do
        sleep 0.1
        waited=$((waited + 1))
done
kill "$watcher"
wait "$printer" || :
watcher=
printer=

echo "== It ended with status $status. Asking why:"
echo "   \$ vigil oom show $name"
"$vigil" oom show "$name"

[ "$status" -eq 137 ] || fail "the container ended with $status, not with 137 (SIGKILL)"
order=$(sed -n "s|.* vigil/$name \([a-z-]*\).*|\1|p" "$events" | xargs)
[ "$order" = "create start oom exit" ] || fail "the events came as '$order', not as create, start, oom, exit"
"$vigil" oom show --json "$name" >"$work/report"
grep -q '"cause":"own limit"' "$work/report" || fail "the report does not name the container's own limit"
grep -q '"name":"tail"' "$work/report" || echo "(the kernel log cannot be read here, so the report does not name the process)"

echo "== Removing it:"
echo "   \$ vigil rm $name"
"$vigil" rm "$name"
trap clean_up EXIT
if "$vigil" ps --json | grep -q "\"$name\""; then fail "$name is still there"; fi
echo "== Nothing is left of it but the report: vigil oom list"
