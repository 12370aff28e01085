// The daemon over a bond: workloads' frames while members fail, NICs come late, modes and MTUs change, and LACP with a
// partner that is a bond in another namespace.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import type { Link } from "../../../daemon/kernel/kernel.ts";
import { BROADCAST, frame, station, text } from "../../peers/frames.ts";
import { CLUSTER_NETWORK, type Tap, tap, TestHost } from "../../support/test-host.ts";
import { until } from "../../support/until.ts";

const run = promisify(execFile);

function intent(nics: readonly string[], options: Readonly<Record<string, unknown>> = {}, mtu = 1500): string {
  const uplink = { nics, linkAttributes: { mtu }, bondOptions: options };
  const vlanConfig = `
apiVersion: network.harvesterhci.io/v1beta1
kind: VlanConfig
metadata: { name: oob-uplink }
spec: { clusterNetwork: oob, uplink: ${JSON.stringify(uplink)} }
`;
  return `${CLUSTER_NETWORK("oob")}---${vlanConfig}`;
}

const NICS = ["nic0", "nic1"];
const BOTH = NICS.map((name) => ({ name }));

async function change(h: TestHost, text_: string): Promise<void> {
  await writeFile(join(h.directory, "intent.yaml"), text_);
  process.kill(h.daemon.pid, "SIGHUP");
}

async function bondOf(h: TestHost): Promise<Link> {
  const bond = await h.host.namespace.link({ name: "oob-bo" });
  if (bond === null) throw new Error("there is no bond");
  return bond;
}

async function membersOf(h: TestHost): Promise<readonly string[]> {
  const { ifindex } = await bondOf(h);
  return (await h.host.namespace.links()).filter(({ master }) => master === ifindex).map(({ name }) => name);
}

const wireIp = (h: TestHost, ...args: string[]) => run("nsenter", [`--net=${h.wire.path}`, "ip", ...args]);

/** Frames of a workload, one each 10 ms, with their number; and where they come out. */
class Stream {
  readonly #timer: NodeJS.Timeout;
  readonly #exits: readonly Tap[];
  sent = 0;

  constructor(t: ExecutionContext, from: Tap, exits: readonly Tap[], tag: number | null = null) {
    this.#exits = exits;
    this.#timer = setInterval(() => {
      const tags = tag === null ? [] : [{ vid: tag }];
      void from
        .send(frame({ dst: BROADCAST, src: station(1), tags, payload: text(`number ${this.sent++}.`) }))
        .catch(() => {});
    }, 10);
    t.teardown(() => clearInterval(this.#timer));
  }

  get received(): ReadonlySet<number> {
    const numbers = this.#exits
      .flatMap((exit) => exit.frames)
      .flatMap(({ data }) => {
        const match = /number (\d+)\./.exec(Buffer.from(data).toString("latin1"));
        return match ? [Number(match[1])] : [];
      });
    return new Set(numbers);
  }

  /** Resolves when frames that are sent from now on arrive; `told`: how many were lost on the way there */
  async recovers(): Promise<number> {
    const now = this.sent;
    await until(() => [...this.received].filter((n) => n > now).length >= 5);
    return this.lost;
  }

  get lost(): number {
    const { received } = this;
    const last = Math.max(-1, ...received);
    return last + 1 - received.size;
  }

  stop(): void {
    clearInterval(this.#timer);
  }
}

async function begin(t: ExecutionContext, options: Readonly<Record<string, unknown>>, nics = BOTH) {
  const h = await TestHost.start(t, { intent: intent(NICS, options), nics });
  const pod = await h.add("pod", { vlan: 100 });
  return { h, pod, inside: await tap(t, pod.host, "eth0") };
}

async function outside(t: ExecutionContext, h: TestHost): Promise<readonly Tap[]> {
  return await Promise.all(NICS.map((name) => tap(t, h.wire, name)));
}

test("active-backup: the member that carries fails, the other one takes over, both ways, and VLANs stay", async (t) => {
  const { h, inside } = await begin(t, { mode: "active-backup", miimon: 100 });
  t.is((await h.status()).clusterNetworks[0]?.uplinkKind, "bond");
  const wires = await outside(t, h);
  const up = new Stream(t, inside, wires);
  await up.recovers();
  for (const failing of NICS) {
    await wireIp(h, "link", "set", failing, "down");
    const lost = await up.recovers();
    t.log(`${failing} failed: ${lost} frames of 10 ms lost so far on the way out`);
    const alive = wires[failing === "nic0" ? 1 : 0];
    t.true(alive?.frames.some(({ vlan }) => vlan?.tci === 100));
    await alive?.send(
      frame({ dst: BROADCAST, src: station(2), tags: [{ vid: 100 }], payload: text(`in by ${failing}`) }),
    );
    await until(() => inside.frames.some(({ data }) => Buffer.from(data).includes(`in by ${failing}`)));
    await wireIp(h, "link", "set", failing, "up");
    await until(async () => (await h.host.namespace.link({ name: failing }))?.memberData["miiStatus"] === 0);
  }
  up.stop();
});

test("LACP: both members in one aggregator with the partner; one fails and traffic goes on by the other", async (t) => {
  const options = { mode: "802.3ad", lacpRate: "fast", miimon: 100, xmitHashPolicy: "layer2" };
  const h = await TestHost.start(t, {
    intent: intent(NICS, options),
    nics: [],
    ready: false,
  });
  // The partner first: a bond whose members are the far ends.
  await wireIp(h, "link", "add", "lag0", "type", "bond", "mode", "802.3ad", "lacp_rate", "fast", "miimon", "100");
  for (const name of NICS) {
    await h.lab.cable({ host: h.host, interface: name }, { host: h.wire, interface: name });
    await wireIp(h, "link", "set", name, "down");
    await wireIp(h, "link", "set", name, "master", "lag0");
  }
  await wireIp(h, "link", "set", "lag0", "up");
  const partner = await h.wire.namespace.link({ name: "lag0" });
  await until(async () => (await bondOf(h)).data["adNumPorts"] === 2);
  t.is((await bondOf(h)).data["adPartnerMac"], partner?.mac);
  const pod = await h.add("pod", { vlan: 100 });
  const [inside, lag] = [await tap(t, pod.host, "eth0"), await tap(t, h.wire, "lag0")];
  await until(async () => (await h.status()).ready);
  const up = new Stream(t, inside, [lag]);
  await up.recovers();
  for (const failing of NICS) {
    await wireIp(h, "link", "set", failing, "down");
    t.log(`${failing} failed: ${await up.recovers()} frames of 10 ms lost so far`);
    await wireIp(h, "link", "set", failing, "up");
    await until(async () => (await bondOf(h)).data["adNumPorts"] === 2);
  }
  up.stop();
  t.true(lag.frames.every(({ data, vlan }) => !Buffer.from(data).includes("number") || vlan?.tci === 100));
});

test("another mode: the bond, its port, its VLANs and the workload's traffic are there afterwards", async (t) => {
  const { h, inside } = await begin(t, { mode: "active-backup" });
  const wires = await outside(t, h);
  const before = { bond: await bondOf(h), port: (await h.ports()).find(({ role }) => role === "uplink") };
  t.is(before.port?.device, "oob-bo");
  const up = new Stream(t, inside, wires);
  await up.recovers();
  for (const mode of ["balance-xor", "balance-tlb", "balance-rr", "broadcast", "active-backup"]) {
    await change(h, intent(NICS, { mode }));
    const number = ["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb"].indexOf(mode);
    await until(async () => (await bondOf(h)).data["mode"] === number && (await h.status()).ready);
    t.log(`${mode}: ${await up.recovers()} frames of 10 ms lost so far`);
    const { ifindex, mac } = await bondOf(h);
    t.deepEqual({ ifindex, mac }, { ifindex: before.bond.ifindex, mac: before.bond.mac });
    const port = (await h.ports()).find(({ role }) => role === "uplink");
    t.deepEqual(
      [port?.allowed, port?.pvid, port?.attached, port?.ifindex],
      [before.port?.allowed, before.port?.pvid, true, before.port?.ifindex],
    );
  }
  up.stop();
});

test("a NIC that is absent at the start is waited for, and joins the bond when it appears", async (t) => {
  const { h, inside } = await begin(t, {}, [{ name: "nic0" }]);
  const status = await h.status();
  t.deepEqual(
    status.conditions.map(({ code, object }) => `${object} ${code}`),
    ["VlanConfig/oob-uplink NIC_ABSENT"],
  );
  t.true(status.clusterNetworks[0]?.ready, "the network works by the one that is there");
  const [first] = [await tap(t, h.wire, "nic0")];
  const up = new Stream(t, inside, [first]);
  await up.recovers();
  await h.lab.cable({ host: h.host, interface: "nic1" }, { host: h.wire, interface: "nic1" });
  await until(async () => (await membersOf(h)).length === 2);
  await up.recovers();
  up.stop();
  t.is(up.lost, 0, "nobody noticed");
  t.deepEqual((await h.status()).conditions, []);
});

test("one NIC is replaced by another while a workload sends: the new one carries before the old one leaves", async (t) => {
  const { h, inside } = await begin(t, { mode: "active-backup" });
  await change(h, intent(["nic0"]));
  await until(async () => (await membersOf(h)).join() === "nic0");
  const wires = await outside(t, h);
  const up = new Stream(t, inside, wires);
  await up.recovers();
  await change(h, intent(["nic1"]));
  await until(async () => (await membersOf(h)).join() === "nic1");
  t.log(`${await up.recovers()} frames of 10 ms lost`);
  up.stop();
  t.true((await h.host.namespace.link({ name: "nic0" }))?.up);
});

test("MTU up and down under traffic: NICs, bond, bridge and the uplink's port follow, and frames keep coming", async (t) => {
  const { h, inside } = await begin(t, { mode: "active-backup" });
  const up = new Stream(t, inside, await outside(t, h));
  await up.recovers();
  for (const mtu of [9000, 1500, 4000, 1400]) {
    await change(h, intent(NICS, { mode: "active-backup" }, mtu));
    const mtus = async (): Promise<readonly number[]> => {
      const links = await h.host.namespace.links();
      const port = (await h.ports()).find(({ role }) => role === "uplink");
      const names = [...NICS, "oob-bo", "oob-br"];
      return [...names.map((name) => links.find((link) => link.name === name)?.mtu ?? 0), port?.mtu ?? 0];
    };
    await until(async () => (await mtus()).every((found) => found === mtu));
    t.log(`MTU ${mtu}: ${await up.recovers()} frames of 10 ms lost so far`);
  }
  up.stop();
});

test("members that are downed, taken out or given to somebody else come back by themselves", async (t) => {
  const { h } = await begin(t, { mode: "active-backup" });
  const ip = (...args: string[]) => run("nsenter", [`--net=${h.host.path}`, "ip", ...args]);
  await ip("link", "set", "nic0", "down");
  await until(async () => (await h.host.namespace.link({ name: "nic0" }))?.up === true);
  await ip("link", "set", "nic0", "nomaster");
  await until(async () => (await membersOf(h)).length === 2);
  await ip("link", "set", "oob-bo", "type", "bond", "miimon", "300");
  await until(async () => (await bondOf(h)).data["miimon"] === 100);
  await ip("link", "del", "oob-bo");
  await until(
    async () => (await h.host.namespace.link({ name: "oob-bo" })) !== null && (await membersOf(h)).length === 2,
  );
  await until(async () => (await h.ports()).some(({ device, attached }) => device === "oob-bo" && attached));
  t.pass();
});
