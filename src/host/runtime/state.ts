/** What does not change in a container's state (OCI runtime.md, "State"). */
export interface Identity {
  readonly id: string;
  readonly bundle: string;
  readonly ociVersion: string;
  readonly annotations: Iterable<readonly [string, string]>;
}

/** The state's text before and behind the pid. */
export function stateAround(
  { ociVersion, id, bundle, annotations }: Identity,
  status: string,
): readonly [string, string] {
  const before = JSON.stringify({ ociVersion, id, status });
  const behind = JSON.stringify({ bundle, annotations: Object.fromEntries(annotations) });
  return [`${before.slice(0, -1)},"pid":`, `,${behind.slice(1)}`];
}

export function stateWithoutPid({ ociVersion, id, bundle, annotations }: Identity, status: string): string {
  return JSON.stringify({ ociVersion, id, status, bundle, annotations: Object.fromEntries(annotations) });
}

/**
 * The container process state (OCI config-linux.md, "Seccomp") in parts: between each two goes the pid of the process whose
 * filter it is.
 *
 * @param init the pid of the container's init when it is another process
 */
export function processStateParts(identity: Identity, metadata: string, init: number | undefined): readonly string[] {
  const [before, behind] = stateAround(identity, init === undefined ? "creating" : "running");
  const head = JSON.stringify({ ociVersion: identity.ociVersion, fds: ["seccompFd"] });
  const middle = `${metadata === "" ? "" : `,"metadata":${JSON.stringify(metadata)}`},"state":${before}`;
  const end = `${behind}}`;
  const first = `${head.slice(0, -1)},"pid":`;
  return init === undefined ? [first, middle, end] : [first, `${middle}${init}${end}`];
}
