#!/bin/sh
# Generates src/gen from proto/, or checks that it is what proto/ generates.
#   proto.sh write|check
set -eu
cd "$(dirname "$0")/.."
export NO_UPDATE_NOTIFIER=1

case ${1:-} in
write) top=. ;;
check) top=build/proto/check ;;
*) echo "usage: proto.sh write|check" >&2; exit 64 ;;
esac

mkdir -p build/proto "$top"
npx buf generate --output "$top"
# The services which are offered over gRPC, for the reflection service.
npx buf build --as-file-descriptor-set --exclude-source-info --output build/proto/grpc.binpb \
        --path proto/containerd/task/v3 --path proto/containerd/runtime/sandbox/v1 \
        --path proto/containerd/services/events/v1 --path proto/vigil/v1 \
        --path proto/grpc/health/v1 --path proto/grpc/reflection
npx tsx tools/descriptors.ts build/proto/grpc.binpb "$top/src/gen/descriptors.ts"
if [ "$1" = check ]; then
        diff -r "$top/src/gen" src/gen || { echo "src/gen is not what proto/ generates; run: make proto" >&2; exit 1; }
fi
