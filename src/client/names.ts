import { randomBytes } from "node:crypto";
import { basename } from "node:path";
import { VigilError } from "../base/errors.js";

/** containerd's rule for namespaces and ids (pkg/identifiers/validate.go). */
const identifier = /^[A-Za-z0-9]+(?:[._-][A-Za-z0-9]+)*$/;
const identifierMax = 76;

export function isIdentifier(text: string): boolean {
  return text.length <= identifierMax && identifier.test(text);
}

export function checkIdentifier(what: string, text: string): string {
  if (isIdentifier(text)) return text;
  throw new VigilError(
    "invalid_argument",
    `${what} "${text}" is not usable: letters and digits, single . _ - between them, at most ${identifierMax} characters`,
  );
}

/** A fresh id that says what runs in it: `sleep-3f9a1c`. */
export function inventId(command: string | undefined): string {
  const stem = basename(command ?? "")
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "")
    .slice(0, 20);
  return `${stem || "container"}-${randomBytes(3).toString("hex")}`;
}
