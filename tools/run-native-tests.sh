#!/bin/sh
# Runs native test programs one after the other: exit 0 passed, 77 skipped (it prints why), anything else failed.
set -u
passed=0 failed=0 skipped=0
for program in "$@"; do
        name=${program##*/}
        "$program"
        status=$?
        case $status in
        0) passed=$((passed + 1)); echo "ok       $name" ;;
        77) skipped=$((skipped + 1)); echo "skipped  $name" ;;
        *) failed=$((failed + 1)); echo "FAILED   $name (exit $status)" ;;
        esac
done
echo "$passed passed, $failed failed, $skipped skipped"
[ "$failed" -eq 0 ] && [ $((passed + skipped)) -gt 0 ]
