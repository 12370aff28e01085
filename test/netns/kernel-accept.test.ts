/** Connections that are taken before Node takes them. One test at a time: they make the thread stand still. */
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, readdirSync, readlinkSync, rmSync, writeSync } from "node:fs";
import { connect, createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import { descriptorOf } from "../../daemon/api/access.ts";
import { KernelError } from "../../daemon/kernel/kernel-error.ts";
import { addonFile } from "../../daemon/package-files.ts";
import { sayAtOnce, untilServersWait } from "../support/say-at-once.ts";
import { until } from "../support/until.ts";
import { host } from "./fixtures/lab.ts";

async function served(t: ExecutionContext) {
  const directory = mkdtempSync(join(tmpdir(), `pwk${process.pid}-accept-`));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  const path = join(directory, "sock");
  let byNode = 0;
  const server = createServer((socket) => {
    byNode++;
    socket.on("error", () => {}).end("node");
  });
  t.teardown(() => server.close());
  server.listen(path);
  await once(server, "listening");
  return { path, listening: descriptorOf(server) ?? -1, byNode: () => byNode };
}

/** How many descriptors of this process are of the same socket. */
function descriptorsOf(descriptor: number): number {
  const what = readlinkSync(`/proc/self/fd/${descriptor}`);
  return readdirSync("/proc/self/fd").filter((fd) => isLinkTo(what, `/proc/self/fd/${fd}`)).length;
}

function isLinkTo(what: string, path: string): boolean {
  try {
    return readlinkSync(path) === what;
  } catch {
    return false; // closed meanwhile
  }
}

test.serial("connections come with what they have said so far; when it is closed, Node has them again", async (t) => {
  const { path, listening, byNode } = await served(t);
  const taken: [number, string | null][] = [];
  const acceptor = host.acceptCalls(listening, (connection, first) => {
    taken.push([connection, first && first.toString()]);
  });
  await untilServersWait();
  t.is(descriptorsOf(listening), 2);

  const silent = connect({ path });
  await until(() => taken.length === 1);
  const said = sayAtOnce(path, "words");
  await until(() => taken.length === 2);
  t.deepEqual(
    taken.map(([, first]) => first),
    [null, "words"],
  );
  for (const [connection] of taken) {
    writeSync(connection, "ours");
    closeSync(connection);
  }
  t.is(await said.answer, "ours");
  t.is(`${(await once(silent, "data"))[0]}`, "ours");

  acceptor.close();
  acceptor.close();
  await untilServersWait();
  t.is(descriptorsOf(listening), 1);
  t.is(await sayAtOnce(path, "words").answer, "node");
  t.deepEqual([taken.length, byNode()], [2, 1]);
});

test.serial("the listener may close it", async (t) => {
  const { path, listening, byNode } = await served(t);
  let taken = 0;
  const acceptor = host.acceptCalls(listening, (connection) => {
    taken++;
    acceptor.close();
    closeSync(connection);
  });
  await untilServersWait();
  await Promise.all([sayAtOnce(path, "a").answer, sayAtOnce(path, "b").answer]);
  await until(() => byNode() === 1);
  t.is(taken, 1);
});

test.serial("one that leaves at once is none", async (t) => {
  const { path, listening, byNode } = await served(t);
  let taken = 0;
  const acceptor = host.acceptCalls(listening, () => taken++);
  t.teardown(() => acceptor.close());
  await untilServersWait();
  execFileSync(process.execPath, ["-e", `require("node:net").connect(${JSON.stringify(path)}).destroy()`]);
  await sleep(50);
  t.deepEqual([taken, byNode()], [0, 0]);
});

test.serial("what is no descriptor is refused", (t) => {
  t.like(
    t.throws(() => host.acceptCalls(99_999, () => {}), { instanceOf: KernelError }),
    { code: "EBADF" },
  );
});

test.serial("the end of a worker thread ends it", async (t) => {
  const { path } = await served(t);
  const worker = `
    const addon = require(${JSON.stringify(addonFile())});
    const server = require("node:net").createServer().listen(${JSON.stringify(`${path}-2`)}, () => {
      addon.acceptCalls(server._handle.fd, () => {});
      require("node:worker_threads").parentPort.postMessage(1);
    });
  `;
  const code = `
    const { Worker } = require("node:worker_threads");
    const worker = new Worker(${JSON.stringify(worker)}, { eval: true });
    worker.once("message", async () => { await worker.terminate(); console.log("over"); });
  `;
  t.is(execFileSync(process.execPath, ["-e", code], { encoding: "utf8" }), "over\n");
});
