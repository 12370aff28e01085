/** A process or a worker that ends without closing its namespaces, in the middle of work, ends cleanly. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test from "ava";
import { addonFile } from "../../daemon/package-files.ts";
import { makeLab } from "./kernel-lab.ts";

const run = promisify(execFile);

/** Plain JavaScript over the bare addon: deletions, dumps and a listener under way. */
const busy = (path: string, link: string) => `
  const addon = require(${JSON.stringify(addonFile())});
  const ns = await addon.enter(addon.openNetns(${JSON.stringify(path)}));
  await addon.watch(ns, () => {});
  await addon.createLink(ns, { name: "${link}", kind: "veth", peer: { name: "${link}p" } });
  const jobs = [addon.deleteLink(ns, { name: "${link}" })];
  for (let i = 0; i < 50; i++) jobs.push(addon.links(ns));
  jobs.push(addon.deleteLink(ns, { name: "none" }));
`;

async function ends(code: string): Promise<string> {
  const { stdout } = await run(process.execPath, ["-e", `(async () => {${code}})()`]);
  return stdout;
}

test("by process.exit", async (t) => {
  const lab = await makeLab(t);
  t.is(await ends(`${busy(lab.path, "v0")} console.log("out"); process.exit(0);`), "out\n");
});

test("by the end of a worker thread, while the process goes on", async (t) => {
  const lab = await makeLab(t);
  const worker = `(async () => { ${busy(lab.path, "NAME")} require("node:worker_threads").parentPort.postMessage(1); })()`;
  const code = `
    const { Worker } = require("node:worker_threads");
    ${busy(lab.path, "w0")}
    await Promise.all(jobs);
    for (let i = 0; i < 5; i++) {
      const worker = new Worker(${JSON.stringify(worker)}.replaceAll("NAME", "v" + i), { eval: true });
      await new Promise((resolve, reject) => worker.once("message", resolve).once("error", reject));
      await worker.terminate();
    }
    console.log((await addon.link(ns, { name: "lo" }))[1]);
    await addon.closeNamespace(ns);
    console.log(require("node:fs").readdirSync("/proc/self/task").filter((tid) =>
      require("node:fs").readFileSync("/proc/self/task/" + tid + "/comm", "utf8").startsWith("pw-")).length);
  `;
  t.is(await ends(code), "lo\n0\n");
});

test("by closing: nothing keeps the process alive", async (t) => {
  const lab = await makeLab(t);
  const closing = `await addon.closeNamespace(ns); await Promise.all(jobs); console.log("closed");`;
  t.is(await ends(`${busy(lab.path, "v0")} ${closing}`), "closed\n");
});
