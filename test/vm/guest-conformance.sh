# Runs in the small machine: the OCI runtime specification on cgroup v2, vigil-runtime, runc and crun.
# The other runtimes find their libraries by the path at which they were unpacked.
mkdir -p "$(dirname "$VIGIL_HOST_CACHE")"
ln -s /project/.cache "$VIGIL_HOST_CACHE"
exec node --import tsx test/conformance/main.ts --only "$VIGIL_E2E_FILTER" --verbose
