/** Programs on devices: tcx links, clsact, pins that outlive their process, and nothing left open. */
import { join } from "node:path";
import test from "ava";
import type { BpfMap, BpfObject, BpfProgram } from "../../daemon/kernel/bpf.ts";
import { isKernelError, KernelError } from "../../daemon/kernel/kernel-error.ts";
import {
  asU32,
  bpffs,
  collect,
  compile,
  connect,
  openDescriptors,
  run,
  type Space,
  space,
  u32,
} from "./fixtures/lab.ts";
import { HAS_TCX } from "../support/hooks.ts";
import { needs } from "../support/needs.ts";
import { until } from "../support/until.ts";

const withTcx = needs(HAS_TCX, "tcx (Linux 6.6)", "serial");

let file: string;
test.before(async () => {
  file = await compile("kernel-bpf");
});

const program = (object: BpfObject, name: string): BpfProgram => object.programs.get(name) as BpfProgram;
const ETH_TEST = 0x88b5; // local experimental EtherType 1, IEEE 802
const frame = new Uint8Array(64).fill(0x22);
new DataView(frame.buffer).setUint16(12, ETH_TEST);

/** What program `first` (slot 0) or `second` (slot 1) has counted. */
async function counted(at: Space, object: BpfObject, slot: number): Promise<number> {
  const value = await at.bpf.lookup(object.maps.get("counters") as BpfMap, u32(slot));
  return asU32(value as Uint8Array).reduce((sum, n) => sum + n, 0);
}

withTcx("a tcx link runs its program on what comes in, and the hook can be queried", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0, v1] = await connect(a, b);
  const object = await b.bpf.load(file);
  t.deepEqual(await b.bpf.queryTcx(v1), []);
  const link = await b.bpf.attachTcx(program(object, "first"), v1);
  t.like(link, { ifindex: v1, programId: program(object, "first").id });
  const behind = await b.bpf.attachTcx(program(object, "second"), v1);
  t.deepEqual(await b.bpf.queryTcx(v1), [
    { programId: program(object, "first").id, linkId: link.id },
    { programId: program(object, "second").id, linkId: behind.id },
  ]);
  t.is(b.writes(), 2);
  const sender = await a.openPacketSocket({ ifindex: v0 }, () => {});
  for (let i = 0; i < 10; i++) await sender.send(frame);
  await until(async () => (await counted(b, object, 0)) >= 10);
  t.is(await counted(b, object, 0), 10);
});

test.serial("what hangs on a device is told, whoever put it there and however", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [, v1] = await connect(a, b);
  const device = "v1";
  const pass = await compile("pass");
  t.deepEqual(await b.bpf.usedHooks(v1), []);
  await b.tc("qdisc", "add", "dev", device, "clsact");
  t.deepEqual(await b.bpf.usedHooks(v1), [], "a qdisc without a filter does nothing");
  await b.tc("filter", "add", "dev", device, "egress", "bpf", "direct-action", "object-file", pass, "section", "tc");
  t.deepEqual(await b.bpf.usedHooks(v1), ["tc egress"]);
  await b.tc("filter", "add", "dev", device, "ingress", "chain", "5", "u32", "match", "u32", "0", "0");
  t.deepEqual(await b.bpf.usedHooks(v1), ["tc ingress", "tc egress"]);
  await b.tc("qdisc", "del", "dev", device, "clsact");
  for (const mode of ["xdpgeneric", "xdpdrv"]) {
    await b.ip("link", "set", "dev", device, mode, "object", pass, "section", "xdp");
    t.deepEqual(await b.bpf.usedHooks(v1), ["XDP"], mode);
    await b.ip("link", "set", "dev", device, mode, "off");
  }
  t.deepEqual(await b.bpf.usedHooks(v1), []);
  t.is(b.writes(), 0);
  if (!HAS_TCX) return;
  await b.bpf.attachTcx(program(await b.bpf.load(file), "first"), v1);
  t.deepEqual(await b.bpf.usedHooks(v1), ["tcx ingress"]);
});

withTcx("attaching to a device that does not exist is an error with its index", async (t) => {
  const { bpf, writes } = await space(t);
  const object = await bpf.load(file);
  const error = await t.throwsAsync(bpf.attachTcx(program(object, "first"), 4242), { instanceOf: KernelError });
  t.like(error, { code: "ENODEV", op: "BPF_LINK_CREATE", object: "ifindex 4242" });
  t.true(isKernelError(await t.throwsAsync(bpf.queryTcx(4242)), "ENODEV"));
  t.is(writes(), 0);
});

withTcx("an unpinned link ends when it is closed, a pinned one stays", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [, v1] = await connect(a, b);
  const pins = bpffs(t);
  const object = await b.bpf.load(file);
  const first = program(object, "first");
  (await b.bpf.attachTcx(first, v1)).close();
  t.deepEqual(await b.bpf.queryTcx(v1), []);

  const link = await b.bpf.attachTcx(first, v1);
  await b.bpf.pin(link, join(pins, "v1"));
  link.close();
  await b.close();
  const later = await b.again();
  t.deepEqual(await later.bpf.queryTcx(v1), [{ programId: first.id, linkId: link.id }]);
  const opened = await later.bpf.openLink(join(pins, "v1"));
  t.like(opened, { id: link.id, programId: first.id, ifindex: v1 });
  await later.bpf.unpin(join(pins, "v1"));
  t.is((await later.bpf.queryTcx(v1)).length, 1, "the open link holds it");
  opened.close();
  t.deepEqual(await later.bpf.queryTcx(v1), []);
});

withTcx("replacing the program of a link under traffic loses no frame", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0, v1] = await connect(a, b);
  const object = await b.bpf.load(file);
  const link = await b.bpf.attachTcx(program(object, "first"), v1);
  const sender = await a.openPacketSocket({ ifindex: v0 }, () => {});
  let sent = 0;
  let going = true;
  const traffic = (async () => {
    while (going) {
      await sender.send(frame);
      sent++;
    }
  })();
  await until(() => sent > 200);
  for (let i = 0; i < 20; i++) {
    const next = i % 2 === 0 ? "second" : "first";
    await b.bpf.updateLink(link, program(object, next));
    t.is(link.programId, program(object, next).id);
    const upTo = sent + 20;
    await until(() => sent > upTo);
  }
  going = false;
  await traffic;
  const total = async () => (await counted(b, object, 0)) + (await counted(b, object, 1));
  await until(async () => (await total()) >= sent);
  t.is(await total(), sent);
  t.true((await counted(b, object, 1)) > 0);
  t.deepEqual(await b.bpf.queryTcx(v1), [{ programId: program(object, "first").id, linkId: link.id }]);
});

withTcx("a pinned link whose device is gone says ifindex 0 and takes no new program", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [, v1] = await connect(a, b);
  const pins = bpffs(t);
  const object = await b.bpf.load(file);
  const link = await b.bpf.attachTcx(program(object, "first"), v1);
  await b.bpf.pin(link, join(pins, "v1"));
  await b.ip("link", "delete", "v1");
  t.like(await b.bpf.openLink(join(pins, "v1")), { id: link.id, ifindex: 0 });
  const error = await t.throwsAsync(b.bpf.updateLink(link, program(object, "second")), { instanceOf: KernelError });
  t.like(error, { code: "ENOLINK", op: "BPF_LINK_UPDATE" });
  t.is(link.programId, program(object, "first").id);
});

test.serial("clsact is made, replaced in place and removed with the last filter", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [v0, v1] = await connect(a, b);
  const object = await b.bpf.load(file);
  const [first, second] = [program(object, "first"), program(object, "second")];
  const clsact = async () =>
    (await b.tc("qdisc", "show", "dev", "v1")).some(({ kind }: { kind: string }) => kind === "clsact");
  t.is(await b.bpf.queryClsact(v1), 0);
  await b.bpf.attachClsact(first, v1);
  t.true(await clsact());
  t.is(await b.bpf.queryClsact(v1), first.id);
  const sender = await a.openPacketSocket({ ifindex: v0 }, () => {});
  for (let i = 0; i < 5; i++) await sender.send(frame);
  await until(async () => (await counted(b, object, 0)) === 5);

  await b.bpf.attachClsact(second, v1);
  t.is(await b.bpf.queryClsact(v1), second.id);
  const filters = (await b.tc("filter", "show", "dev", "v1", "ingress")).filter((f: any) => f.options?.handle);
  t.is(filters.length, 1);
  t.like(filters[0], { protocol: "all", pref: 1, kind: "bpf", options: { "direct-action": true } });
  await b.bpf.detachClsact(v1);
  t.false(await clsact());
  t.is(await b.bpf.queryClsact(v1), 0);
  t.true(isKernelError(await t.throwsAsync(b.bpf.detachClsact(v1)), "ENOENT"));
  t.is(b.writes(), 3);
  t.true(isKernelError(await t.throwsAsync(b.bpf.attachClsact(first, 4242)), "ENODEV"));
});

test.serial("a clsact qdisc that somebody else filters on stays", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [, v1] = await connect(a, b);
  const object = await b.bpf.load(file);
  const pins = bpffs(t);
  await b.bpf.pin(program(object, "second"), join(pins, "second"));
  await b.bpf.attachClsact(program(object, "first"), v1);
  await run("tc", [
    ...["-netns", b.name, "filter", "add", "dev", "v1", "egress", "prio", "7", "protocol", "all"],
    ...["bpf", "direct-action", "object-pinned", join(pins, "second")],
  ]);
  await b.bpf.detachClsact(v1);
  t.is((await b.tc("filter", "show", "dev", "v1", "egress")).filter((f: any) => f.options?.handle).length, 1);
});

withTcx("500 cycles of maps, links, rings and sockets leave no descriptor", async (t) => {
  const [a, b] = [await space(t), await space(t)];
  const [, v1] = await connect(a, b);
  const mapPinDir = bpffs(t);
  const object = await b.bpf.load(file, { mapPinDir });
  const flush = () => b.bpf.queryTcx(v1); // closing happens on the thread, in order
  const cycle = async () => {
    const map = await b.bpf.openMap(join(mapPinDir, "table"));
    const events = await b.bpf.openMap(join(mapPinDir, "events"));
    const link = await b.bpf.attachTcx(program(object, "first"), v1);
    const ring = await b.bpf.readRing(events, () => {});
    const socket = await b.openPacketSocket({ ifindex: v1 }, () => {});
    await Promise.all([ring.close(), socket.close()]);
    for (const open of [map, events, link]) open.close();
  };
  await cycle();
  await flush();
  await collect();
  const before = openDescriptors();
  for (let i = 0; i < 500; i++) await cycle();
  await flush();
  t.true(openDescriptors() <= before);
  t.deepEqual(await b.bpf.queryTcx(v1), []);
});

test.serial("failed calls leave no descriptor", async (t) => {
  const { bpf } = await space(t);
  const mapPinDir = bpffs(t);
  await bpf.load(file, { mapPinDir });
  const refused = await compile("refused");
  const attempt = async () => {
    await t.throwsAsync(bpf.load(refused));
    await t.throwsAsync(bpf.load(file, { mapPinDir, maxEntries: { table: 5 } }));
    await t.throwsAsync(bpf.openLink(join(mapPinDir, "table")));
  };
  await attempt();
  await collect();
  const before = openDescriptors();
  for (let i = 0; i < 20; i++) await attempt();
  t.true(openDescriptors() <= before);
});

test.serial("objects that are forgotten are closed when they are collected", async (t) => {
  const { bpf } = await space(t);
  const mapPinDir = bpffs(t);
  await bpf.load(file, { mapPinDir });
  await collect();
  const before = openDescriptors();
  for (let i = 0; i < 100; i++) await bpf.openMap(join(mapPinDir, "table"));
  t.true(openDescriptors() > before + 50);
  await collect();
  t.true(openDescriptors() <= before);
});
