// The switch behind its interface, on real maps: what concurrent changes leave behind, and what a new start makes of it.
import { appendFile, copyFile, mkdtemp, readdir, rename, rm } from "node:fs/promises";
import { basename, join } from "node:path";
import type { ExecutionContext } from "ava";
import test from "ava";
import { EbpfDatapath } from "../../daemon/datapath/ebpf/ebpf-datapath.ts";
import { Lab, type LabHost } from "../../daemon/demo/lab.ts";
import type { PacketSocket } from "../../daemon/kernel/kernel.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { samePort } from "../../daemon/model/port.ts";
import { bpfObjectFile } from "../../daemon/package-files.ts";
import { removePinRoot } from "../../daemon/pin-root.ts";
import { port } from "../peers/port-config.ts";
import { BROADCAST, frame, station, text } from "../peers/frames.ts";
import { HAS_TCX, programsOn } from "../support/hooks.ts";
import { needs } from "../support/needs.ts";
import { until } from "../support/until.ts";

const withTcx = needs(HAS_TCX, "tcx (Linux 6.6)");

let count = 0;

interface Bench {
  readonly host: LabHost;
  readonly ifindexes: readonly number[];
  /** namespace of the links' other ends, under the same names */
  readonly far: LabHost;
  readonly pinRoot: string;
  open(objectFile?: string): Promise<EbpfDatapath>;
  /** at the other end of link n */
  sender(n: number): Promise<PacketSocket>;
}

async function bench(t: ExecutionContext, links: number): Promise<Bench> {
  const kernel = nativeKernel();
  const lab = new Lab(kernel, `pwdp${process.pid}-${count++}`);
  const pinRoot = await mkdtemp("/run/pw-dp-");
  t.teardown(async () => {
    await lab.dispose();
    removePinRoot(kernel, pinRoot);
    await rm(pinRoot, { recursive: true, force: true });
  });
  kernel.mountBpffs(pinRoot);
  const host = await lab.host("host");
  const far = await lab.host("far");
  // It would send by itself, and be learned.
  for (const conf of ["all", "default"]) await far.namespace.writeSysctl(`net/ipv6/conf/${conf}/disable_ipv6`, "1");
  const cables = Array.from({ length: links }, (_, n) =>
    lab.cable({ host, interface: `p${n}` }, { host: far, interface: `p${n}` }),
  );
  const ifindexes = (await Promise.all(cables)).map(({ a }) => a);
  const open = (objectFile = bpfObjectFile()): Promise<EbpfDatapath> =>
    EbpfDatapath.open({ kernel, namespace: host.namespace, pinRoot, objectFile });
  const sender = async (n: number): Promise<PacketSocket> => {
    const link = await far.namespace.link({ name: `p${n}` });
    const socket = await far.namespace.openPacketSocket({ ifindex: link?.ifindex ?? 0 }, () => {});
    t.teardown(() => socket.close());
    return socket;
  };
  return { host, far, ifindexes, pinRoot, open, sender };
}

/** A start mends what does not agree, and so counts what was wrong: 0 writes say that the maps agree with the ports. */
async function writesOfStart({ host, open }: Bench): Promise<number> {
  const before = host.namespace.writes.bpf;
  const datapath = await open();
  const writes = host.namespace.writes.bpf - before;
  await datapath.close();
  return writes;
}

test("ports that are set at the same time, an uplink that grows among them, leave flood lists that are whole", async (t) => {
  const b = await bench(t, 9);
  const [uplink = 0, ...others] = b.ifindexes;
  for (let round = 0; round < 5; round++) {
    const datapath = await b.open();
    await datapath.setPort(uplink, port([999]));
    await Promise.all([
      datapath.setPort(uplink, port([100, 999])),
      ...others.flatMap((ifindex, n) => [
        datapath.setPort(ifindex, port([], [100])),
        datapath.setPort(uplink, port([100, 200 + n])),
      ]),
    ]);
    await datapath.close();
    t.is(await writesOfStart(b), 0, `round ${round}, all set`);

    const again = await b.open();
    await Promise.all(others.map((ifindex) => again.removePort(ifindex)));
    await again.close();
    t.is(await writesOfStart(b), 0, `round ${round}, all removed`);
  }
});

withTcx("the switch of another layout is taken off: one program decides, and its pins are gone", async (t) => {
  const b = await bench(t, 2);
  const [a = 0, other = 0] = b.ifindexes;
  const old = await b.open();
  for (const ifindex of [a, other]) await old.setPort(ifindex, { ...port([], [100]), kind: "nic" });
  t.is((await programsOn(b.host.namespace.bpf, a)).length, 1);
  await old.close();
  const versions = async () => (await readdir(b.pinRoot)).filter((name) => name.startsWith("v"));
  const [version = ""] = await versions();
  await rename(join(b.pinRoot, version), join(b.pinRoot, "v1"));
  await b.host.namespace.deleteLink({ ifindex: other }); // its link has no device any more

  const datapath = await b.open();
  t.teardown(() => datapath.close());
  t.deepEqual(await versions(), [version]);
  t.is((await programsOn(b.host.namespace.bpf, a)).length, 0);
  t.deepEqual(await datapath.observe(), []);
  await datapath.setPort(a, { ...port([], [100]), kind: "nic" });
  t.is((await programsOn(b.host.namespace.bpf, a)).length, 1);
});

test("counting the entries of the maps forgets none", async (t) => {
  const b = await bench(t, 1);
  const datapath = await b.open();
  t.teardown(() => datapath.close());
  await datapath.setPort(b.ifindexes[0] ?? 0, port([], [100]));
  const sender = await b.sender(0);
  await sender.send(frame({ dst: BROADCAST, src: station(1) }));
  await until(async () => (await datapath.fdb()).length === 1);
  const used = async () => (await datapath.mapUse()).find(({ map }) => map === "fdb")?.entries;
  t.deepEqual([await used(), await used()], [1, 1]);
  t.is((await datapath.fdb()).length, 1);
});

test("a port is closed and opened, held to one source and released, and found so again", async (t) => {
  const b = await bench(t, 2);
  const [a = 0, other = 0] = b.ifindexes;
  const plain = port([], [100]);
  const datapath = await b.open();
  t.teardown(() => datapath.close());
  await datapath.setPort(other, plain);
  const closed = { ...plain, open: false };
  await datapath.setPort(a, closed);
  t.true(samePort((await datapath.inspect(a))?.config ?? plain, closed));
  const sender = await b.sender(0);
  const dropped = async (reason: string) =>
    (await datapath.counters()).find(({ ifindex }) => ifindex === a)?.drops[reason];
  await sender.send(frame({ dst: BROADCAST, src: station(1) }));
  await until(async () => (await dropped("port_down")) === 1n);
  t.deepEqual(await datapath.fdb(), []);

  await datapath.setPort(a, plain);
  await sender.send(frame({ dst: BROADCAST, src: station(1) }));
  await sender.send(frame({ dst: BROADCAST, src: station(2) }));
  const learned = async () => (await datapath.fdb()).map(({ mac }) => mac).toSorted();
  await until(async () => (await learned()).length === 2);
  const checked = { ...plain, sourceMac: station(1) };
  await datapath.setPort(a, checked);
  t.true(samePort((await datapath.inspect(a))?.config ?? plain, checked));
  t.deepEqual(await learned(), [], "whoever it was that was learned");
  await sender.send(frame({ dst: BROADCAST, src: station(2) }));
  await sender.send(frame({ dst: BROADCAST, src: station(1) }));
  await until(async () => (await learned()).length === 1);
  t.deepEqual(await learned(), [station(1)]);
  t.is(await dropped("spoofed"), 1n);
});

test("an address is forgotten at all other ports of its port's switch, in all VLANs, and nothing else is", async (t) => {
  const b = await bench(t, 3);
  const [a = 0, other = 0, elsewhere = 0] = b.ifindexes;
  const datapath = await b.open();
  t.teardown(() => datapath.close());
  await datapath.setPort(a, port([300], [100]));
  await datapath.setPort(other, port([100, 200]));
  await datapath.setPort(elsewhere, port([], [100], 1));
  const [atA, atOther, atElsewhere] = [await b.sender(0), await b.sender(1), await b.sender(2)];
  for (const vid of [100, 200])
    for (const n of [1, 2]) await atOther.send(frame({ dst: BROADCAST, src: station(n), tags: [{ vid }] }));
  await atElsewhere.send(frame({ dst: BROADCAST, src: station(1) }));
  await atA.send(frame({ dst: BROADCAST, src: station(1), tags: [{ vid: 300 }] }));
  const known = async () =>
    (await datapath.fdb()).map((e) => `${e.mac} ${e.switchId}/${e.vlan} ${b.ifindexes.indexOf(e.ifindex)}`).toSorted();
  await until(async () => (await known()).length === 6);
  await datapath.forgetElsewhere(a, station(1));
  t.deepEqual(await known(), [
    `${station(1)} 0/300 0`,
    `${station(1)} 1/100 2`,
    `${station(2)} 0/100 1`,
    `${station(2)} 0/200 1`,
  ]);
  await datapath.forgetElsewhere(4711, station(2)); // no port: nothing happens
  t.is((await known()).length, 4);
});

test("a port whose VLANs change keeps the counts of those that stay", async (t) => {
  const b = await bench(t, 2);
  const datapath = await b.open();
  t.teardown(() => datapath.close());
  const [a = 0, other = 0] = b.ifindexes;
  await datapath.setPort(a, port([], [100]));
  await datapath.setPort(other, port([], [100]));
  const countOf = async (ifindex: number, vlan: number): Promise<bigint | undefined> =>
    (await datapath.counters()).find((c) => c.ifindex === ifindex)?.vlans.find((v) => v.vlan === vlan)?.txPackets;
  const sender = await b.sender(1);
  for (let i = 0; i < 10; i++) await sender.send(frame({ dst: BROADCAST, src: station(1) }));
  await until(async () => ((await countOf(a, 100)) ?? 0n) >= 10n);
  await datapath.setPort(a, port([50, 100, 150]));
  t.true(((await countOf(a, 100)) ?? 0n) >= 10n);
  t.deepEqual([await countOf(a, 50), await countOf(a, 150)], [0n, 0n]);
});

test("addresses in VLANs that a port leaves, and in a switch that it leaves, are forgotten; others stay", async (t) => {
  const b = await bench(t, 1);
  const datapath = await b.open();
  t.teardown(() => datapath.close());
  const [a = 0] = b.ifindexes;
  const sender = await b.sender(0);
  const vlans = async (): Promise<readonly number[]> =>
    (await datapath.fdb()).map(({ vlan }) => vlan).toSorted((x, y) => x - y);
  const many = Array.from({ length: 20 }, (_, n) => 100 + n);
  for (const [before, after, left] of [
    [port([100, 200, 300]), port([200, 300]), [200, 300]],
    [port(many), port([100]), []], // too many to look for one by one
    [port([100]), { ...port([100]), switchId: 1 }, []],
  ] as const) {
    await datapath.setPort(a, before);
    for (const vid of before.allowed) await sender.send(frame({ dst: BROADCAST, src: station(7), tags: [{ vid }] }));
    await until(async () => (await vlans()).length === before.allowed.count);
    await datapath.setPort(a, after);
    t.deepEqual(await vlans(), [...left]);
    await datapath.removePort(a);
  }
});

test("addresses of a removed port are forgotten before another has its id, and destroy leaves no pin", async (t) => {
  const b = await bench(t, 2);
  const datapath = await b.open();
  const [a = 0, other = 0] = b.ifindexes;
  await datapath.setPort(a, port([], [100]));
  await datapath.setPort(other, port([], [100]));
  const link = await b.far.namespace.link({ name: "p0" });
  const sender = await b.far.namespace.openPacketSocket({ ifindex: link?.ifindex ?? 0 }, () => {});
  t.teardown(() => sender.close());
  await sender.send(frame({ dst: BROADCAST, src: station(7) }));
  const known = async (): Promise<boolean> => (await datapath.fdb()).some(({ mac }) => mac === station(7));
  await until(known);
  const { portId } = await datapath.setPort(a, port([], [100]));
  await datapath.removePort(a);
  const now = await datapath.setPort(a, port([], [100]));
  t.true(
    (await datapath.fdb()).every(({ ifindex }) => ifindex !== a),
    "nothing was learned at it",
  );
  t.not(now.portId, portId);
  t.false(await known());
  await until(async () => (await entriesOf(datapath)) === (await datapath.fdb()).length);
  await datapath.destroy();
  // The kernel itself puts maps.debug and progs.debug into every bpffs.
  const left = (await readdir(b.pinRoot)).filter((name) => !name.endsWith(".debug"));
  t.deepEqual(left, []);
  t.deepEqual(await programsOn(b.host.namespace.bpf, other), []);
});

/** of all ports, erased ones among them */
async function entriesOf(datapath: EbpfDatapath): Promise<number> {
  return (await datapath.fdbCounts()).reduce((sum, { entries }) => sum + entries, 0);
}

test("what one that died had not forgotten yet is forgotten at the next start", async (t) => {
  const b = await bench(t, 2);
  const dying = await b.open();
  t.teardown(() => dying.close());
  const [a = 0, other = 0] = b.ifindexes;
  for (const ifindex of [a, other]) await dying.setPort(ifindex, port([], [100]));
  const sender = await b.sender(0);
  await sender.send(frame({ dst: BROADCAST, src: station(7) }));
  await until(async () => (await dying.fdb()).some(({ mac }) => mac === station(7)));
  await dying.removePort(a);
  t.true((await entriesOf(dying)) > (await dying.fdb()).length);
  const next = await b.open();
  t.teardown(() => next.close());
  t.is(await entriesOf(next), (await next.fdb()).length);
});

withTcx("a settled port whose link is gone leaves no pin", async (t) => {
  const b = await bench(t, 1);
  const datapath = await b.open();
  t.teardown(() => datapath.close());
  const [a = 0] = b.ifindexes;
  const pins = async (): Promise<string[]> => {
    const all = await readdir(b.pinRoot, { recursive: true, withFileTypes: true });
    return all.filter(({ name }) => name === `${a}`).map(({ name }) => name);
  };
  await datapath.setPort(a, port([], [100]));
  await datapath.settle(1);
  t.deepEqual(await pins(), [`${a}`]);
  await b.host.namespace.deleteLink({ ifindex: a });
  await datapath.forgetPort(a);
  t.deepEqual(await pins(), []);
  await t.notThrowsAsync(datapath.forgetPort(a));
});

withTcx("a port begins with a filter and settles into tcx, without a frame lost or switched twice", async (t) => {
  const b = await bench(t, 2);
  const datapath = await b.open();
  t.teardown(() => datapath.close());
  const [a = 0, other = 0] = b.ifindexes;
  const { bpf } = b.host.namespace;
  for (const ifindex of [a, other]) {
    t.true((await datapath.setPort(ifindex, port([], [100]))).attached);
    t.deepEqual(await bpf.queryTcx(ifindex), []);
    t.not(await bpf.queryClsact(ifindex), 0);
  }
  const link = async (name: string): Promise<number> => (await b.far.namespace.link({ name }))?.ifindex ?? 0;
  let received = 0;
  const sink = await b.far.namespace.openPacketSocket({ ifindex: await link("p1") }, (frames) => {
    received += frames.filter(({ data }) => Buffer.from(data).includes("settling")).length;
  });
  t.teardown(() => sink.close());
  const sender = await b.far.namespace.openPacketSocket({ ifindex: await link("p0") }, () => {});
  t.teardown(() => sender.close());

  let over = false;
  const settling = datapath.settle(10).finally(() => {
    over = true;
  });
  let sent = 0;
  while (!over || sent < 500) {
    await sender.send(frame({ dst: BROADCAST, src: station(1), payload: text("settling") }));
    sent++;
  }
  t.is(await settling, 0);
  await until(() => received >= sent);
  t.is(received, sent);
  for (const ifindex of [a, other]) {
    t.is((await bpf.queryTcx(ifindex)).length, 1);
    t.is(await bpf.queryClsact(ifindex), 0);
    t.true((await datapath.inspect(ifindex))?.attached);
  }
  t.is(await datapath.settle(10), 0);
});

withTcx("a program that was taken away is seen and hung up again, whichever way it hung", async (t) => {
  const b = await bench(t, 1);
  const datapath = await b.open();
  t.teardown(() => datapath.close());
  const [a = 0] = b.ifindexes;
  const attached = async (): Promise<boolean | undefined> => (await datapath.inspect(a))?.attached;
  await datapath.setPort(a, port([], [100]));
  await b.host.namespace.bpf.detachClsact(a);
  t.false(await attached());
  await datapath.setPort(a, port([], [100]));
  t.true(await attached());
  await datapath.settle(1);
  await b.host.namespace.bpf.unpin(join(b.pinRoot, `v2/links/${a}`));
  t.false(await attached());
  await datapath.setPort(a, port([], [100]));
  t.true(await attached());
});

test("a switch of another object file takes over its ports, and the old programs go", async (t) => {
  const b = await bench(t, 2);
  const first = await b.open();
  const [a = 0] = b.ifindexes;
  await first.setPort(a, port([], [100]));
  await first.settle(1);
  const { bpf } = b.host.namespace;
  const before = await programsOn(bpf, a);
  const link = HAS_TCX ? (await bpf.queryTcx(a))[0]?.linkId : 0;
  await first.close();
  const copy = join(b.pinRoot, "..", `${basename(b.pinRoot)}.o`);
  await copyFile(bpfObjectFile(), copy);
  await appendFile(copy, "\0"); // other octets, same program: what an upgrade looks like to the loader
  t.teardown(() => rm(copy, { force: true }));
  const second = await b.open(copy);
  t.teardown(() => second.close());
  const after = await programsOn(bpf, a);
  t.deepEqual([before.length, after.length], [1, 1]);
  t.not(after[0], before[0]);
  if (HAS_TCX) t.is((await bpf.queryTcx(a))[0]?.linkId, link, "the link stayed and was updated");
  t.is((await readdir(join(b.pinRoot, "v2/programs"))).length, 1);
  t.true((await second.observe())[0]?.attached);
});
