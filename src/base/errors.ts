/** The closed list of failures, named and numbered as gRPC and ttrpc status codes are (google.rpc.Code). */
export const statusCodes = {
  cancelled: 1,
  unknown: 2,
  invalid_argument: 3,
  deadline_exceeded: 4,
  not_found: 5,
  already_exists: 6,
  permission_denied: 7,
  resource_exhausted: 8,
  failed_precondition: 9,
  aborted: 10,
  out_of_range: 11,
  unimplemented: 12,
  internal: 13,
  unavailable: 14,
  data_loss: 15,
} as const;

export type ErrorCode = keyof typeof statusCodes;

const codesByNumber = new Map<number, ErrorCode>(
  Object.entries(statusCodes).map(([code, number]) => [number, code as ErrorCode]),
);

/** The code of a number that came over the wire. */
export function errorCodeOf(number: number): ErrorCode {
  return codesByNumber.get(number) ?? "unknown";
}

/** The one error class: a code from the list, words for a person, and what caused it. Mapped to the wire in `rpc/status.ts`. */
export class VigilError extends Error {
  override readonly name = "VigilError";
  readonly code: ErrorCode;

  constructor(code: ErrorCode, message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
  }

  /** Anything thrown, as a VigilError: itself, or `unknown` with the thrown thing as cause. */
  static from(thrown: unknown): VigilError {
    if (thrown instanceof VigilError) return thrown;
    return new VigilError("unknown", thrown instanceof Error ? thrown.message : String(thrown), { cause: thrown });
  }
}
