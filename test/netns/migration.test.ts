// A machine moves from one host to another, with a switch between them that learns: nothing leaves the closed port, and
// from the moment it is opened every frame takes the new way.
import type { ExecutionContext } from "ava";
import test from "ava";
import { announcement, reverseRequest, tagged } from "../../daemon/attach/announce.ts";
import type { LabHost } from "../../daemon/demo/lab.ts";
import type { AttachmentView } from "../../daemon/api/views.ts";
import { call } from "../../daemon/client/call.ts";
import { BROADCAST, frame, station, text } from "../peers/frames.ts";
import { OOB_VLAN100, type Tap, tap, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";

const VM = "02:00:00:00:77:01";
const ADDRESSES = ["10.1.0.7/24", "fd00::7/64"];
const THIRD = station(3);
const INTENT = OOB_VLAN100();

interface Entry {
  readonly mac: string;
  readonly vlan: number;
  readonly device: string;
}

/** Two hosts and a third station, each on a port of one bridge of the kernel's that knows no VLANs. */
async function twoHosts(t: ExecutionContext) {
  const [a, b] = [await TestHost.start(t, { intent: INTENT }), await TestHost.start(t, { intent: INTENT })];
  const between = a.wire.namespace;
  await b.wire.namespace.changeLink({ name: "nic0" }, { name: "nic1" });
  await b.wire.namespace.changeLink({ name: "nic1" }, { netns: a.wire.handle });
  const third = await a.lab.host("third");
  await a.lab.cable({ host: a.wire, interface: "third" }, { host: third, interface: "eth0" });
  await third.namespace.writeSysctl("net/ipv6/conf/all/disable_ipv6", "1");
  const bridge = await between.createLink({ name: "switch", kind: "bridge", up: true });
  for (const name of ["nic0", "nic1", "third"])
    await between.changeLink({ name }, { master: bridge.ifindex, up: true });
  return { a, b, third };
}

const socketOf = (h: TestHost): string => h.runtime.socket;

/** The machine's interface on a host. */
async function attach(h: TestHost, state: "ready" | "gated"): Promise<LabHost> {
  const machine = await h.lab.host("vm");
  const body = { network: "vlan100", netns: machine.path, containerId: "vm", interface: "eth0", mac: VM };
  const asked = { ...body, addresses: ADDRESSES, state };
  await call(socketOf(h), { method: "POST", path: "/v1/attachments", body: asked });
  return machine;
}

const open = (h: TestHost) =>
  call<AttachmentView>(socketOf(h), { method: "POST", path: "/v1/attachments/vm%2Feth0/open" });
const detach = (h: TestHost) => call(socketOf(h), { method: "DELETE", path: "/v1/attachments/vm%2Feth0" });

/** by which interface of a host the machine's address is known in VLAN 100 */
async function known(h: TestHost, mac = VM): Promise<string[]> {
  const { fdb } = await h.get<{ fdb: Entry[] }>("/v1/fdb");
  return fdb.filter((entry) => entry.mac === mac && entry.vlan === 100).map((entry) => entry.device);
}

function seen(at: Tap, bytes: Uint8Array): number {
  const hex = Buffer.from(bytes).toString("hex");
  return at.frames.filter(({ data, vlan }) => {
    const whole = vlan === undefined ? data : tagged(data, vlan.tci & 0xfff);
    return Buffer.from(whole).toString("hex") === hex;
  }).length;
}

function numbers(at: Tap): ReadonlySet<number> {
  const found = at.frames.map(({ data }) => /number (\d+)\./.exec(Buffer.from(data).toString("latin1"))?.[1]);
  return new Set(found.flatMap((digits) => (digits === undefined ? [] : [Number(digits)])));
}

test("a machine moves: its frames follow at once, what it announces is announced once", async (t) => {
  const { a, b, third } = await twoHosts(t);
  const atThird = await tap(t, third, "eth0");
  const paused = await attach(a, "ready");
  // A machine that is being moved says nothing any more; what its interface says by itself would move it back.
  await paused.namespace.writeSysctl("net/ipv6/conf/all/disable_ipv6", "1");
  const source = await tap(t, paused, "eth0");
  const target = await tap(t, await attach(b, "gated"), "eth0");
  const neighbour = await b.add("neighbour", { vlan: 100 });
  const atNeighbour = await tap(t, neighbour.host, "eth0");
  await until(() => seen(atThird, tagged(announcement(VM, "10.1.0.7"), 100)) === 1);
  const uplink = "nic0";
  await source.send(frame({ dst: BROADCAST, src: VM, payload: text("I am here") }));
  await until(async () => (await known(b)).length === 1);
  t.deepEqual(await known(b), [uplink]);

  // Closed: what the target says reaches nobody, and nobody learns it.
  await target.send(frame({ dst: BROADCAST, src: VM, payload: text("too early") }));
  await atNeighbour.send(frame({ dst: BROADCAST, src: station(9), payload: text("to all") }));
  await until(() => atThird.frames.some(({ data }) => Buffer.from(data).includes("to all")));
  t.false(atThird.frames.some(({ data }) => Buffer.from(data).includes("too early")));
  t.false(target.frames.some(({ data }) => Buffer.from(data).includes("to all")));
  t.deepEqual(await known(b), [uplink]);

  // Open, while a third station goes on sending.
  atThird.clear();
  let sent = 0;
  let going = true;
  t.teardown(() => {
    going = false;
  });
  const sending = (async () => {
    while (going) {
      const payload = text(`number ${sent++}.`);
      await atThird.send(frame({ dst: VM, src: THIRD, tags: [{ vid: 100 }], payload }));
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  })();
  await until(() => numbers(source).size > 100);
  t.is(numbers(target).size, 0);
  const opened = await open(b);
  const since = sent;
  t.is(opened.state, "ready");
  await until(() => numbers(target).size > 100);
  going = false;
  await sending;
  await until(() => numbers(target).has(sent - 1));
  const arrived = new Set([...numbers(source), ...numbers(target)]);
  const lost = Array.from({ length: sent }, (_, n) => n).filter((n) => !arrived.has(n));
  t.log(`${sent} frames sent, ${numbers(source).size} at the source, ${numbers(target).size} at the target,`);
  t.log(`${lost.length} lost; ${[...numbers(source)].filter((n) => n >= since).length} at the source after the answer`);
  t.deepEqual(lost, []);
  t.deepEqual(
    [...numbers(source)].filter((n) => n > since),
    [],
    "the switches knew when the client was told",
  );
  t.not((await known(b))[0], uplink);
  t.deepEqual(await known(a), [uplink], "the source's switch, too");
  const told = [reverseRequest(VM), announcement(VM, "10.1.0.7"), announcement(VM, "fd00::7")];
  const counts = () => told.map((bytes) => seen(atThird, tagged(bytes, 100)));
  t.deepEqual(counts(), [1, 1, 1]);

  // Again, and the source goes.
  t.is((await open(b)).state, "ready");
  await detach(a);
  t.deepEqual(counts(), [1, 1, 1]);
  await target.send(frame({ dst: BROADCAST, src: VM, payload: text("here I am") }));
  await until(() => atThird.frames.some(({ data }) => Buffer.from(data).includes("here I am")));
});

test("a restart keeps a closed port closed, and an open one open", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  const machine = await tap(t, await attach(h, "gated"), "eth0");
  const wire = await tap(t, h.wire, "nic0");
  const state = async () =>
    (await h.get<{ attachments: { state: string }[] }>("/v1/attachments")).attachments[0]?.state;
  const heard = (what: string) => wire.frames.some(({ data }) => Buffer.from(data).includes(what));
  await h.restart();
  t.is(await state(), "gated");
  await machine.send(frame({ dst: BROADCAST, src: VM, payload: text("closed") }));
  t.is((await open(h)).state, "ready");
  await machine.send(frame({ dst: BROADCAST, src: VM, payload: text("opened") }));
  await until(() => heard("opened"));
  t.false(heard("closed"));
  await h.restart();
  t.is(await state(), "ready");
  await machine.send(frame({ dst: BROADCAST, src: VM, payload: text("still") }));
  await until(() => heard("still"));
});

test("where a machine was, its address is forgotten with its port", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT });
  await attach(h, "ready");
  await until(async () => (await known(h)).length === 1);
  await detach(h);
  t.deepEqual(await known(h), []);
});
