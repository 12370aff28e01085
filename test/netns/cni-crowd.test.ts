// A hundred containers at once, and a disk that is full: no port is lost, doubled or left.
import { execFile } from "node:child_process";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { runCni } from "../../daemon/demo/container-runtime.ts";
import { recordFiles } from "../support/record-files.ts";
import { OOB, staticIpam, TestHost } from "../support/test-host.ts";

const run = promisify(execFile);
const NAMESPACES = 20;
const INTERFACES = 5;

test.serial("a hundred ADDs at once make a hundred ports, each its own; a hundred DELs leave none", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const pods = await Promise.all(Array.from({ length: NAMESPACES }, (_, n) => h.lab.host(`pod${n}`)));
  const calls = pods.flatMap((pod, n) =>
    Array.from({ length: INTERFACES }, (_, i) => ({
      command: "ADD" as const,
      containerId: `c${n}-${i}`,
      netnsPath: pod.path,
      interface: `eth${i}`,
      networkName: "net",
      netconf: { bridge: "oob-br", vlan: 100 + n, ...staticIpam(`10.${i}.${n}.2/24`) },
    })),
  );
  const ports = async () => (await h.ports()).filter(({ role }) => role === "workload");
  await Promise.all(calls.map((call) => runCni(h.runtime, call)));
  const made = await ports();
  t.deepEqual(
    made.map(({ attachment, pvid, attached }) => `${attachment} ${pvid} ${attached}`).toSorted(),
    calls.map(({ containerId, interface: name, netconf }) => `${containerId}/${name} ${netconf.vlan} true`).toSorted(),
  );
  t.is(new Set(made.map(({ ifindex }) => ifindex)).size, calls.length);
  for (const [n, pod] of pods.entries()) {
    const addresses = (await pod.namespace.addresses()).filter(
      ({ family, address }) => family === 4 && address !== "127.0.0.1",
    );
    const expected = Array.from({ length: INTERFACES }, (_, i) => `10.${i}.${n}.2`);
    t.deepEqual(addresses.map(({ address }) => address).toSorted(), expected);
  }
  t.is(recordFiles(join(h.directory, "state")).length, calls.length);

  await Promise.all(calls.map((call) => runCni(h.runtime, { ...call, command: "DEL" })));
  t.deepEqual(await ports(), []);
  t.deepEqual(recordFiles(join(h.directory, "state")), []);
  const links = await Promise.all(pods.map(async (pod) => (await pod.namespace.links()).map(({ name }) => name)));
  t.deepEqual(
    links,
    pods.map(() => ["lo"]),
  );
});

test.serial("a full disk refuses an ADD with a code, and keeps no DEL from its end", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), smallState: true });
  const before = await h.add("before", { vlan: 100 });
  const filler = join(h.directory, "state/filler");
  await run("dd", ["if=/dev/zero", `of=${filler}`, "bs=4k"]).catch(() => undefined);
  await run("dd", ["if=/dev/zero", `of=${filler}`, "bs=1", "count=4096", "oflag=append", "conv=notrunc"]).catch(
    () => undefined,
  );
  const pod = await h.lab.host("pod");
  await t.throwsAsync(h.add("pod", { vlan: 100 }, { pod }), { message: /STATE_IO|cannot be written/ });
  t.is(await pod.namespace.link({ name: "eth0" }), null, "nothing of the refused one");
  await h.del(before);
  t.is(await before.host.namespace.link({ name: "eth0" }), null);
  t.deepEqual(recordFiles(join(h.directory, "state")), []);
  await run("rm", [filler]);
  await h.del(await h.add("pod", { vlan: 100 }, { pod }));
});
