/** GC and STATUS: what is collected, what is spared, what the runtime hears. */
import test from "ava";
import { IpamError } from "../../daemon/attach/ipam.ts";
import type { AttachService } from "../../daemon/attach/attach-service.ts";
import { kernelError, baseConf, cni, type FakeHost, vlanNetwork } from "../support/attach-fakes.ts";
import { host, ipamConf } from "../support/attach-checks.ts";

const VALID = "cni.dev/valid-attachments";
const LEGACY = "cni.dev/attachments";
const conf = { ...baseConf, cniVersion: "1.1.0" };
const entry = (containerID: string) => ({ containerID, ifname: "eth0" });

/** attaches each to a namespace of its own */
async function attach(fake: FakeHost, service: AttachService, id: string, more: object = {}): Promise<void> {
  fake.addNetns(`/ns/${id}`);
  const added = await cni(service, { command: "ADD", containerId: id, netns: `/ns/${id}`, conf: { ...conf, ...more } });
  if (added.exitCode !== 0) throw new Error(added.stdout);
}

/** as "api/eth0", by a client that is not CNI */
async function attachByApi(fake: FakeHost, service: AttachService): Promise<void> {
  fake.networks.set("vlan7", vlanNetwork("vlan7", 7));
  fake.addNetns("/ns/api");
  const to = { netns: "/ns/api", containerId: "api", interface: "eth0" };
  await service.attach({ network: "vlan7", ...to, mac: "", addresses: [], state: "ready" });
}

function gc(service: AttachService, more: object = {}) {
  const env = { CNI_CONTAINERID: "", CNI_NETNS: "", CNI_IFNAME: "" };
  return cni(service, { command: "GC", conf: { ...conf, ...more }, env });
}

/** its namespace is destroyed, and with it both ends of the port */
function destroy(fake: FakeHost, id: string): void {
  fake.namespaces.delete(`/ns/${id}`);
  fake.ports.delete(`${id}/eth0`);
}

const left = (service: AttachService) => service.list().map(({ id }) => id);

test("what the runtime calls valid stays, the rest of the network goes, other networks are not touched", async (t) => {
  for (const key of [VALID, LEGACY]) {
    const fake = host(t);
    const service = await fake.started();
    for (const id of ["keep", "drop1", "drop2"]) await attach(fake, service, id);
    await attach(fake, service, "other", { name: "net2" });
    await attachByApi(fake, service);
    const reply = await gc(service, { [key]: [entry("keep"), entry("unknown")] });
    t.deepEqual([reply.exitCode, reply.stdout], [0, ""], reply.stdout);
    t.deepEqual(left(service), ["keep/eth0", "other/eth0", "api/eth0"]);
    t.deepEqual([...fake.ports.keys()], ["keep/eth0", "other/eth0", "api/eth0"]);
  }
});

test("both keys together spare what either names", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  for (const id of ["a", "b", "c"]) await attach(fake, service, id);
  t.is((await gc(service, { [VALID]: [entry("a")], [LEGACY]: [entry("b")] })).exitCode, 0);
  t.deepEqual(left(service), ["a/eth0", "b/eth0"]);
});

test("an empty list spares nothing; an absent or null one only what is not verifiably gone", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  for (const id of ["alive", "nameless", "unported", "gone", "file"]) await attach(fake, service, id);
  fake.namespaces.delete("/ns/nameless"); // a process may still be in there: the port is
  fake.ports.delete("unported/eth0"); // somebody deleted the link, and the container runs on
  destroy(fake, "gone");
  destroy(fake, "file");
  fake.onOpen = (path) => {
    if (path === "/ns/file") throw kernelError("EINVAL", 22, path);
  };
  for (const more of [{}, { [VALID]: null }]) {
    t.is((await gc(service, more)).exitCode, 0);
    t.deepEqual(left(service), ["alive/eth0", "nameless/eth0", "unported/eth0"]);
  }
  t.is((await gc(service, { [VALID]: [] })).exitCode, 0);
  t.deepEqual(left(service), []);
});

test("another namespace under the same path is not the one that was attached", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await attach(fake, service, "c");
  destroy(fake, "c");
  fake.addNetns("/ns/c");
  t.is((await gc(service)).exitCode, 0);
  t.deepEqual(left(service), []);
});

test("a device of somebody else's is looked for by name: it may have come again with another index", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  const prevResult = { cniVersion: "1.1.0", interfaces: [{ name: "tap7", mac: "02:00:00:00:07:07" }] };
  await attach(fake, service, "vm", { device: { kind: "existing" }, prevResult });
  fake.namespaces.delete("/ns/vm");
  const port = fake.ports.get("vm/eth0");
  if (port) fake.ports.set("vm/eth0", { ...port, made: { ...port.made, hostIfindex: 4242 } });
  t.is((await gc(service)).exitCode, 0);
  t.deepEqual(left(service), ["vm/eth0"]);
});

test("a namespace that cannot be looked at is not called gone", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await attach(fake, service, "c");
  destroy(fake, "c");
  fake.onOpen = (path) => {
    throw kernelError("EMFILE", 24, path);
  };
  t.is((await gc(service)).exitCode, 0);
  t.deepEqual(left(service), ["c/eth0"]);
});

test("one failure keeps nothing else from being collected, IPAM's part neither, and all are reported", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  for (const id of ["a", "b", "c"]) await attach(fake, service, id);
  let failures = 0;
  fake.onStep = (step) => {
    if (step === "unmake" && ++failures === 2) throw kernelError("EBUSY", 16, "the link");
    if (step === "ipam-gc") throw new Error("its disk is full");
  };
  const reply = await gc(service, { [VALID]: [], ipam: { type: "host-local" } });
  t.like(reply.json, { code: 108, cniVersion: "1.1.0" });
  t.regex(reply.json.msg, /^b\/eth0: the link: EBUSY; IPAM plugin host-local: its disk is full$/);
  t.deepEqual(left(service), ["b/eth0"]);
  t.true(fake.ipamCalls.includes("GC host-local"));
});

test("addresses of what is collected are given back, and IPAM is told of the collection", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await attach(fake, service, "a", ipamConf.ipam && { ipam: ipamConf.ipam });
  t.is((await gc(service, { [VALID]: [], ipam: ipamConf.ipam })).exitCode, 0);
  t.deepEqual(fake.ipamCalls, ["ADD host-local", "DEL host-local", "GC host-local"]);
  t.is(fake.leases.size, 0);
});

test("an attachment that is made while garbage is collected is not garbage", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  let release = () => {};
  const gate = new Promise<void>((resolve) => {
    release = resolve;
  });
  let reach = () => {};
  const made = new Promise<void>((resolve) => {
    reach = resolve;
  });
  fake.onStep = (step) => {
    if (step !== "made") return;
    reach();
    return gate;
  };
  fake.addNetns("/ns/new");
  const adding = cni(service, { command: "ADD", containerId: "new", netns: "/ns/new", conf });
  await made; // on record, and in the kernel
  const collecting = gc(service, { [VALID]: [] });
  await new Promise((resolve) => setTimeout(resolve, 20)); // it has read the records, and waits for its turn
  release();
  t.is((await adding).exitCode, 0);
  t.is((await collecting).exitCode, 0);
  t.deepEqual(left(service), ["new/eth0"]);
});

test("a list that cannot be read is refused as a whole, and so is a network without a name", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await attach(fake, service, "a");
  for (const bad of ["x", {}, [1], [{}], [{ containerID: "a" }], [{ containerID: "", ifname: "e" }], [{ ifname: "e" }]])
    t.is((await gc(service, { [VALID]: bad })).json.code, 7, JSON.stringify(bad));
  t.is((await gc(service, { [VALID]: [], name: "" })).json.code, 7);
  t.deepEqual(left(service), ["a/eth0"]);
});

test("GC and STATUS are of 1.1.0 and need CNI_PATH alone", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  for (const command of ["GC", "STATUS"]) {
    t.is((await cni(service, { command, conf: { ...conf, cniVersion: "1.0.0" } })).json.code, 1);
    t.is((await cni(service, { command, conf, env: { CNI_PATH: "" } })).json.code, 4);
    t.is((await cni(service, { command, conf: "{" })).json.code, 6);
  }
});

test("people collect what is verifiably gone of every network, whoever attached it", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await attach(fake, service, "alive");
  await attach(fake, service, "gone", { name: "net2" });
  await attachByApi(fake, service);
  destroy(fake, "gone");
  destroy(fake, "api");
  t.deepEqual(await service.collect(), { removed: ["api/eth0", "gone/eth0"], failed: [] });
  t.deepEqual(left(service), ["alive/eth0"]);
});

test("STATUS: 50 when nothing can be attached, 51 when what is attached suffers, else IPAM is asked", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  const ask = () => cni(service, { command: "STATUS", conf: { ...conf, ipam: { type: "host-local" } } });
  t.deepEqual([(await ask()).exitCode, (await ask()).stdout], [0, ""]);
  t.deepEqual(fake.ipamCalls, ["STATUS host-local", "STATUS host-local"]);
  fake.health = { cannotAttach: ["no such network"], suffers: [] };
  t.like((await ask()).json, { code: 50, msg: "no such network" });
  fake.health = { cannotAttach: ["no such network"], suffers: ["no carrier"] };
  t.like((await ask()).json, { code: 51, msg: "no carrier; no such network" });
  fake.health = { cannotAttach: [], suffers: [] };
  fake.onStep = (step) => {
    if (step === "ipam-status") throw new Error("no range left");
  };
  t.is((await ask()).exitCode, 1);
});

/** what a plugin says to GC or STATUS, and what the runtime hears: 0 is success */
const REFUSALS = [
  { of: "a plugin of before 1.1.0", code: 3, versions: ["0.4.0", "1.0.0"], gc: 0, status: 50 },
  { of: "one that has the version without the verb", code: 4, versions: ["1.0.0", "1.1.0"], gc: 0, status: 0 },
  { of: "one that knows the verb and fails", code: 5, versions: ["1.0.0", "1.1.0"], gc: 5, status: 5 },
];

for (const { of, code, versions, ...heard } of REFUSALS)
  test(`IPAM refuses GC and STATUS: ${of}`, async (t) => {
    const fake = host(t);
    const service = await fake.started();
    await attach(fake, service, "a");
    fake.ipamVersions = versions;
    fake.onStep = (step) => {
      if (step === "ipam-gc" || step === "ipam-status") throw new IpamError(code, "no", "");
    };
    const ipam = { type: "host-local" };
    const collected = await gc(service, { [VALID]: [], ipam });
    t.is(collected.json.code ?? 0, heard.gc);
    t.deepEqual(left(service), []);
    const asked = await cni(service, { command: "STATUS", conf: { ...conf, ipam } });
    t.is(asked.json.code ?? 0, heard.status);
    const noted = fake.log.some(({ message }) => message === "the IPAM plugin cannot collect garbage");
    t.is(noted, heard.gc === 0);
  });
