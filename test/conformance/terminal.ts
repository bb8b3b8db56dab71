// Terminals.
import { equal, match, notEqual } from "node:assert/strict";
import type { Bed } from "./harness/bed.js";
import { type Edit, merge, script } from "./harness/config.js";
import { FdSocket, readTerminal } from "./harness/fd-socket.js";
import { section } from "./harness/test.js";

/** What a script with a terminal prints there. */
async function onTerminal(t: Bed, text: string, edit: Edit = {}): Promise<string> {
  const socket = await FdSocket.listen(t);
  const container = t.container(merge(merge(script(text), { process: { terminal: true } }), edit));
  await container.mustCreate({ arguments: ["--console-socket", socket.path] });
  const { fds } = await socket.received();
  equal(fds.length, 1);
  const read = readTerminal(fds[0] ?? -1);
  await container.start();
  return (await read).replaceAll("\r\n", "\n").trim();
}

export const terminalTests = section("config.md#process", {
  "terminal: standard input, output and error are one": async (t) => {
    equal(await onTerminal(t, "for n in 0 1 2; do test -t $n && echo $n; done"), "0\n1\n2");
  },
  "terminal: it is one of the container's /dev/pts": async (t) => {
    match(await onTerminal(t, "tty; ls /dev/pts"), /^\/dev\/(pts\/0|console)\n/);
  },
  "terminal: it is the controlling one": async (t) => {
    equal(await onTerminal(t, "echo x >/dev/tty"), "x");
  },
  "terminal: the process leads its session": async (t) => {
    const [session, own] = (await onTerminal(t, "set -- $(cat /proc/self/stat); echo $6; echo $$")).split("\n");
    equal(session, own);
  },
  "terminal: /dev/console is the terminal": async (t) => {
    equal(await onTerminal(t, "echo there >/dev/console; stat -c %F /dev/console"), "there\ncharacter special file");
  },
  "terminal: consoleSize is its size": async (t) => {
    const edit = { process: { consoleSize: { height: 33, width: 77 } } };
    equal(await onTerminal(t, "stty size", edit), "33 77");
  },
  "terminal: it belongs to the user of the process": async (t) => {
    const edit = { process: { user: { uid: 1000, gid: 1000 } } };
    equal(await onTerminal(t, "stat -L -c %u /proc/self/fd/0; echo x >/dev/tty", edit), "1000\nx");
  },
  "terminal: without --console-socket create is refused": async (t) => {
    await t.refused({ process: { terminal: true } });
  },
  "terminal: --console-socket without a terminal is refused": async (t) => {
    const socket = await FdSocket.listen(t);
    const container = t.container();
    notEqual((await container.create({ arguments: ["--console-socket", socket.path] })).code, 0);
  },
  "terminal: a console socket that does not exist is refused": async (t) => {
    await t.refused({ process: { terminal: true } }, { arguments: ["--console-socket", `${t.folder}/nothing`] });
  },
  "terminal: exec has one of its own": async (t) => {
    const container = await t.running();
    const socket = await FdSocket.listen(t);
    const before = ["--tty", "--detach", "--console-socket", socket.path];
    const running = container.exec("test -t 0 && tty", before);
    const { fds } = await socket.received();
    const read = readTerminal(fds[0] ?? -1);
    equal((await running).code, 0);
    match(await read, /^\/dev\/(pts\/0|console)\r\n/);
  },
});
