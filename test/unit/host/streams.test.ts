import { expect, test } from "vitest";
import { planStreams } from "../../../src/host/io/streams.js";

const plan = (stdin: string, stdout: string, stderr: string, terminal = false) =>
  planStreams({ stdin, stdout, stderr, terminal }, "e1", "k8s.io");

const none = { kind: "null", path: "" };

test("nothing given is the null device", () => {
  expect(plan("", "", "").streams).toEqual([none, none, none]);
});

test.each([
  ["/run/fifo/a b%20c", { kind: "path", path: "/run/fifo/a b%20c" }],
  ["fifo:///run/fifo/a%20b", { kind: "path", path: "/run/fifo/a b" }],
  ["file:///var/log/a%25.log", { kind: "file", path: "/var/log/a%.log" }],
])("%s", (stdout, stream) => {
  expect(plan("", stdout, "").streams).toEqual([none, stream, none]);
});

test("stdin without stdout", () => {
  expect(plan("/in", "", "").streams).toEqual([{ kind: "path", path: "/in" }, none, none]);
});

test("a terminal has no stderr", () => {
  expect(plan("/in", "/out", "/err", true).streams[2]).toEqual(none);
});

test("a logging program: its arguments from the query, its environment two variables", () => {
  const { streams, logger } = plan("/in", "binary:///usr/bin/log%20it?id=x%20y&id=z&debug", "binary:///usr/bin/log");
  expect(streams).toEqual([none, { kind: "logger", path: "" }, { kind: "logger", path: "" }]);
  expect(logger).toEqual({
    argv: ["/usr/bin/log it", "id", "x y", "debug"],
    env: ["CONTAINER_ID=e1", "CONTAINER_NAMESPACE=k8s.io"],
    mustReady: false,
  });
});

test("binary-v2 must say that it is ready", () => {
  expect(plan("", "binary-v2:///log", "").logger.mustReady).toBe(true);
});

test.each([
  ["pipe:///x", "stdout: unknown STDIO scheme pipe"],
  ["ttrpc+unix:///run/x.sock?streaming_id=1", "stdout: unknown STDIO scheme ttrpc+unix"],
  ["fifo://relative", 'stdout: "relative" is not an absolute path'],
  ["file:///a%zz", 'stdout: "/a%zz" is not percent-encoded'],
  ["relative", 'stdout: "relative" is not a path'],
  ["binary://log", 'stdout: "log" is not an absolute path'],
])("%s is refused", (stdout, message) => {
  expect(() => plan("", stdout, "")).toThrow(message);
});
