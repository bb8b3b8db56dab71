/** Who takes the events: containerd, over one of its two protocols. */
export interface Forwarder {
  /** Resolves when the event was taken. `entry`: a serialized ForwardRequest. Throws invalid_argument for one it will never take. */
  forward(entry: Uint8Array): Promise<void>;
  close(): void;
}
