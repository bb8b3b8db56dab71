import { type ErrorCode, errorCodeOf, statusCodes, VigilError } from "../base/errors.js";
import { Response } from "../gen/ttrpc/request.js";

/**
 * The answer to a request as it is committed and kept, for ttrpc and gRPC alike: ttrpc's Response message. A failure has no
 * payload: Go's client decodes the payload before it looks at the status.
 */

const none = new Uint8Array(0);

export function encodeAnswer(payload: Uint8Array): Uint8Array {
  return Response.encode({ status: undefined, payload }).finish();
}

/**
 * containerd's errdefs put the class behind the message ("container not created: not found"), on the wire too, and its clients
 * print just that text.
 */
const classWords: Partial<Record<ErrorCode, string>> = {
  invalid_argument: "invalid argument",
  not_found: "not found",
  already_exists: "already exists",
  failed_precondition: "failed precondition",
  unavailable: "unavailable",
  unimplemented: "not implemented",
};

export function inErrdefsWords({ code, message }: VigilError): string {
  const words = classWords[code];
  return words === undefined || message.endsWith(words) ? message : `${message}: ${words}`;
}

export function encodeRefusal(error: VigilError): Uint8Array {
  const status = { code: statusCodes[error.code], message: inErrdefsWords(error), details: [] };
  return Response.encode({ status, payload: none }).finish();
}

/** The payload of an answer, or its failure thrown. */
export function openAnswer(reply: Uint8Array): Uint8Array {
  const { status, payload } = Response.decode(reply);
  if (status && status.code !== 0) throw new VigilError(errorCodeOf(status.code), status.message);
  return payload;
}
