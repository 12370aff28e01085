/** BPF objects, maps and ring buffers through the addon, against the running kernel. Links: kernel-bpf-link.test.ts. */
import { readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import test from "ava";
import type { BpfMap, BpfObject, BpfProgram } from "../../daemon/kernel/bpf.ts";
import { isKernelError, KernelError } from "../../daemon/kernel/kernel-error.ts";
import { BpfLoadError } from "../../daemon/kernel/native-error.ts";
import { asU32, bpffs, collect, compile, host, openDescriptors, space, u32, u64 } from "./fixtures/lab.ts";
import { until } from "../support/until.ts";

let file: string;
let refused: string;
test.before(async () => {
  [file, refused] = await Promise.all([compile("kernel-bpf"), compile("refused")]);
});

const map = (object: BpfObject, name: string): BpfMap => object.maps.get(name) as BpfMap;
const program = (object: BpfObject, name: string): BpfProgram => object.programs.get(name) as BpfProgram;
const frame = new Uint8Array(64).fill(0x12);
const BPF_NOEXIST = 1;
const BPF_EXIST = 2;

test.serial("constants are set in .rodata before the program is verified", async (t) => {
  const { bpf } = await space(t);
  const object = await bpf.load(file, { constants: { verdict: 2, vlan: 0x6064, small: -3 } });
  const result = await bpf.testRun(program(object, "first"), { data: frame });
  t.is(result.returnValue, 2);
  const skb = asU32(result.context); // struct __sk_buff: mark is word 2, cb[0..4] are words 12..16
  t.is(skb[2], 0xfffffffd);
  t.deepEqual(skb.slice(12, 14), [1, 0x6064]);
  const plain = await bpf.load(file);
  t.is((await bpf.testRun(program(plain, "first"), { data: frame })).returnValue, 0);
});

test.serial("a constant that does not exist or does not fit is an error that names it", async (t) => {
  const { bpf } = await space(t);
  for (const [name, value] of [
    ["nothing", 1],
    ["vlan", 65536],
    ["vlan", 1.5],
    ["vlan", Number.NaN],
    ["small", -129],
  ] as const) {
    const error = await t.throwsAsync(bpf.load(file, { constants: { [name]: value } }), { instanceOf: KernelError });
    t.like(error, { code: "EINVAL", object: name });
  }
});

test.serial("max_entries can be overridden by map name", async (t) => {
  const { bpf } = await space(t);
  const object = await bpf.load(file, { maxEntries: { table: 3 } });
  t.is(map(object, "table").maxEntries, 3);
  await bpf.updateMany(map(object, "table"), u64(1, 2, 3), u32(1, 2, 3));
  t.true(isKernelError(await t.throwsAsync(bpf.update(map(object, "table"), u64(4), u32(4))), "E2BIG"));
  const error = await t.throwsAsync(bpf.load(file, { maxEntries: { absent: 3 } }), { instanceOf: KernelError });
  t.like(error, { code: "EINVAL", object: "absent" });
});

test.serial("maps are pinned at the first load and reused by the second", async (t) => {
  const { bpf, writes } = await space(t);
  const mapPinDir = bpffs(t);
  const before = await bpf.load(file, { mapPinDir });
  t.deepEqual(readdirSync(mapPinDir).sort(), ["by_key", "counters", "devices", "events", "no_keys", "table"]);
  t.is(writes(), 6);
  await bpf.update(map(before, "table"), u64(7), u32(70));
  for (const object of [...before.maps.values(), ...before.programs.values()]) object.close();

  const after = await bpf.load(file, { mapPinDir, constants: { verdict: 1 } });
  t.is(map(after, "table").id, map(before, "table").id);
  t.deepEqual(await bpf.lookup(map(after, "table"), u64(7)), u32(70));
  t.is((await bpf.testRun(program(after, "first"), { data: frame })).returnValue, 1);
  t.is(writes(), 7, "the second load writes nothing");
  const opened = await bpf.openMap(join(mapPinDir, "table"));
  t.like(opened, { id: map(before, "table").id, name: "table", keySize: 8, valueSize: 4, maxEntries: 16384 });
});

test.serial("a pinned map of another size is an error with both values, and stays as it is", async (t) => {
  const { bpf } = await space(t);
  const mapPinDir = bpffs(t);
  const object = await bpf.load(file, { mapPinDir });
  await bpf.update(map(object, "table"), u64(7), u32(70));
  const error = await t.throwsAsync(bpf.load(file, { mapPinDir, maxEntries: { table: 99 } }), {
    instanceOf: KernelError,
  });
  t.like(error, { code: "EINVAL", object: "table" });
  t.regex(error?.kernelText ?? "", /max_entries 16384.*99/);
  const opened = await bpf.openMap(join(mapPinDir, "table"));
  t.is(opened.id, map(object, "table").id);
  t.deepEqual(await bpf.lookup(opened, u64(7)), u32(70));
});

test.serial(
  "a refused program is an error with the verifier's words and its whole log, and pins nothing",
  async (t) => {
    const { bpf, writes } = await space(t);
    const mapPinDir = bpffs(t);
    const error = await t.throwsAsync(bpf.load(refused, { mapPinDir }), { instanceOf: BpfLoadError });
    t.like(error, { code: "EACCES", op: "BPF_PROG_LOAD", object: "careless" });
    t.regex(error?.kernelText ?? "", /invalid access to packet, off=5 size=1/);
    t.notRegex(error?.kernelText ?? "", /libbpf|PROG LOAD LOG/);
    t.regex(error?.log ?? "", /BEGIN PROG LOAD LOG[^]*invalid access to packet[^]*END PROG LOAD LOG/);
    t.deepEqual(readdirSync(mapPinDir), []);
    t.is(writes(), 0);
  },
);

test.serial("a file that is absent or no object is an error that names it", async (t) => {
  const { bpf } = await space(t);
  const absent = await t.throwsAsync(bpf.load("/nonexistent.o"), { instanceOf: KernelError });
  t.like(absent, { code: "ENOENT", object: "/nonexistent.o" });
  const text = import.meta.filename;
  t.like(await t.throwsAsync(bpf.load(text), { instanceOf: KernelError }), { object: text });
});

test.serial("one hash entry is written, read and removed", async (t) => {
  const { bpf, writes } = await space(t);
  const table = map(await bpf.load(file), "table");
  t.is(await bpf.lookup(table, u64(1)), null);
  t.false(await bpf.remove(table, u64(1)));
  t.is(writes(), 0, "look-ups and removals of nothing are no writes");
  await bpf.update(table, u64(1), u32(10), BPF_NOEXIST);
  t.deepEqual(await bpf.lookup(table, u64(1)), u32(10));
  t.true(isKernelError(await t.throwsAsync(bpf.update(table, u64(1), u32(11), BPF_NOEXIST)), "EEXIST"));
  t.true(isKernelError(await t.throwsAsync(bpf.update(table, u64(2), u32(11), BPF_EXIST)), "ENOENT"));
  t.true(await bpf.remove(table, u64(1)));
  t.is(await bpf.lookup(table, u64(1)), null);
  t.is(writes(), 2);
});

test.serial("one entry in each of several maps is written in one crossing, up to the first that fails", async (t) => {
  const { bpf, writes } = await space(t);
  const object = await bpf.load(file);
  const [table, counters] = [map(object, "table"), map(object, "counters")];
  const perCpu = u64(...Array.from({ length: host.cpus }, () => 7));
  await bpf.updateEach([
    { map: table, key: u64(1), value: u32(10) },
    { map: counters, key: u32(2), value: perCpu },
    { map: table, key: u64(1), value: u32(11) },
  ]);
  t.deepEqual(await bpf.lookup(table, u64(1)), u32(11), "in this order");
  t.deepEqual(await bpf.lookup(counters, u32(2)), perCpu);
  t.is(writes(), 3);
  const writing = bpf.updateEach([
    { map: table, key: u64(2), value: u32(20) },
    { map: counters, key: u32(1_000_000), value: perCpu },
    { map: table, key: u64(3), value: u32(30) },
  ]);
  t.like(await t.throwsAsync(writing, { instanceOf: KernelError }), { code: "E2BIG", object: "counters" });
  t.deepEqual(await bpf.lookupMany(table, u64(2, 3)), [u32(20), null]);
  t.is(writes(), 4);
});

test.serial("keys and values of a wrong size never reach the kernel", async (t) => {
  const { bpf } = await space(t);
  const object = await bpf.load(file);
  const table = map(object, "table");
  const counters = map(object, "counters");
  for (const call of [
    () => bpf.lookup(table, new Uint8Array(7)),
    () => bpf.update(table, new Uint8Array(9), u32(1)),
    () => bpf.update(table, u64(1), new Uint8Array(3)),
    () => bpf.update(counters, u32(1), u32(1)),
    () => bpf.remove(table, new Uint8Array()),
    () => bpf.lookupMany(table, new Uint8Array(12)),
    () => bpf.updateMany(table, u64(1, 2), u32(1)),
    () => bpf.removeMany(table, new Uint8Array(1)),
  ]) {
    t.like(await t.throwsAsync(call(), { instanceOf: KernelError }), { code: "EINVAL" });
  }
});

test.serial("ten thousand entries go in, come out and leave in batches", async (t) => {
  const { bpf, writes } = await space(t);
  const table = map(await bpf.load(file), "table");
  const numbers = Array.from({ length: 10_000 }, (_, i) => i);
  await bpf.updateMany(table, u64(...numbers), u32(...numbers.map((n) => n * 3)));
  t.is(writes(), 10_000);
  const all = await bpf.readAll(table);
  t.is(all.count, 10_000);
  const keys = new BigUint64Array(all.keys.slice().buffer);
  const values = asU32(all.values);
  t.true(values.every((value, i) => value === Number(keys[i]) * 3));
  t.is(new Set(keys).size, 10_000);

  t.deepEqual(await bpf.lookupMany(table, u64(99_999, 5, 99_998, 6)), [null, u32(15), null, u32(18)]);
  // absent keys at the beginning, twice in a row in the middle, and at the end
  t.is(await bpf.removeMany(table, u64(99_999, 1, 2, 99_998, 99_997, 3, 99_996)), 3);
  t.deepEqual(await bpf.lookupMany(table, u64(1, 2, 3, 4)), [null, null, null, u32(12)]);
  t.is(await bpf.removeMany(table, u64(...numbers)), 9_997);
  t.is((await bpf.readAll(table)).count, 0);
  t.is(writes(), 20_000);
});

test.serial("a batch with flags obeys them and says how far it came", async (t) => {
  const { bpf } = await space(t);
  const table = map(await bpf.load(file), "table");
  await bpf.update(table, u64(2), u32(20));
  const error = await t.throwsAsync(bpf.updateMany(table, u64(1, 2, 3), u32(1, 2, 3), BPF_NOEXIST), {
    instanceOf: KernelError,
  });
  t.like(error, { code: "EEXIST", object: "table (entry 1 of 3)" });
  t.deepEqual(await bpf.lookupMany(table, u64(1, 2, 3)), [u32(1), u32(20), null]);
});

test.serial("per-CPU values have one padded slot for each possible CPU", async (t) => {
  const { bpf } = await space(t);
  const object = await bpf.load(file);
  const counters = map(object, "counters");
  const size = host.cpus * 8;
  const perCpu = (base: number) => u32(...Array.from({ length: host.cpus }, (_, cpu) => [base + cpu, 0]).flat());
  t.is(counters.valueSize, 4);
  await bpf.testRun(program(object, "first"), { data: frame, repeat: 5 });
  const value = await bpf.lookup(counters, u32(0));
  t.is(value?.length, size);
  t.is(
    asU32(value as Uint8Array).reduce((sum, n) => sum + n, 0),
    5,
  );

  await bpf.update(counters, u32(3), perCpu(100));
  t.deepEqual(await bpf.lookup(counters, u32(3)), perCpu(100));
  const all = await bpf.readAll(counters);
  t.is(all.count, 8);
  t.is(all.values.length, 8 * size);
  t.deepEqual(all.values.slice(3 * size, 4 * size), perCpu(100));

  const byKey = map(object, "by_key");
  await bpf.updateMany(byKey, u32(7, 8), new Uint8Array([...perCpu(1), ...perCpu(50)]));
  t.deepEqual(await bpf.lookupMany(byKey, u32(8, 9, 7)), [perCpu(50), null, perCpu(1)]);
  t.is((await bpf.readAll(byKey)).count, 2);
});

test.serial("a map type without batch operations is read and written entry by entry", async (t) => {
  const { bpf } = await space(t);
  const devices = map(await bpf.load(file), "devices");
  const LOOPBACK = 1; // ifindex of lo in every namespace
  await bpf.updateMany(devices, u32(10, 11, 12), u32(LOOPBACK, LOOPBACK, LOOPBACK));
  const all = await bpf.readAll(devices);
  t.is(all.count, 3);
  t.deepEqual(
    asU32(all.keys).sort((a, b) => a - b),
    [10, 11, 12],
  );
  t.deepEqual(asU32(all.values), [LOOPBACK, LOOPBACK, LOOPBACK]);
  t.is(await bpf.removeMany(devices, u32(9, 10, 12, 13)), 2);
  t.is((await bpf.readAll(devices)).count, 1);
});

test.serial("a map without keys cannot be read whole", async (t) => {
  const { bpf } = await space(t);
  const object = await bpf.load(file);
  const error = await t.throwsAsync(bpf.readAll(map(object, "no_keys")), { instanceOf: KernelError });
  t.like(error, { code: "EINVAL", object: "no_keys", kernelText: "a map without keys cannot be read whole" });
});

test.serial("a map that does not fit a KiB is read whole with large values", async (t) => {
  const { bpf } = await space(t);
  const object = await bpf.load(file, { maxEntries: { counters: 65_536 } });
  const all = await bpf.readAll(map(object, "counters")); // more than one chunk
  t.is(all.count, 65_536);
  t.deepEqual(asU32(all.keys).at(-1), 65_535);
});

test.serial("a test run shows what the program did to a frame and how often it was repeated", async (t) => {
  const { bpf } = await space(t);
  const object = await bpf.load(file, { constants: { vlan: 100 } });
  // The packet keeps its state between repeats: the second push moves the first tag into the payload.
  const twice = await bpf.testRun(program(object, "first"), { data: frame, repeat: 2 });
  t.is(twice.data.length, 68);
  t.deepEqual([...twice.data.slice(12, 16)], [0x81, 0x00, 0x00, 100]);
  const marked = new Uint8Array(192);
  new Uint32Array(marked.buffer)[2] = 77;
  t.is(asU32((await bpf.testRun(program(object, "second"), { data: frame, context: marked })).context)[2], 77);
  const short = await t.throwsAsync(bpf.testRun(program(object, "first"), { data: new Uint8Array(13) }));
  t.true(isKernelError(short, "EINVAL"));
});

test.serial("a syscall program answers in its context", async (t) => {
  const { bpf } = await space(t);
  const emit = program(await bpf.load(file), "emit");
  const result = await bpf.testRun(emit, { context: u32(3, 0) });
  t.is(result.returnValue, 7);
  t.deepEqual(asU32(result.context), [3, 3]);
  t.true(isKernelError(await t.throwsAsync(bpf.testRun(emit, { context: u32(3, 0), data: frame })), "EINVAL"));
  t.true(isKernelError(await t.throwsAsync(bpf.testRun(emit, { context: u32(3, 0), repeat: 1 })), "EINVAL"));
});

test.serial("a ring buffer gives what was in it and what comes, in order, until it is closed", async (t) => {
  const { bpf } = await space(t);
  const object = await bpf.load(file);
  const emit = (n: number) => bpf.testRun(program(object, "emit"), { context: u32(n, 0) });
  await emit(3);
  const seen: number[] = [];
  const ring = await bpf.readRing(map(object, "events"), (records) => {
    for (const record of records) seen.push(Number(new BigUint64Array(record.slice().buffer)[0]));
  });
  await until(() => seen.length === 3);
  await emit(2000);
  await until(() => seen.length === 2003);
  t.deepEqual(seen, [0, 1, 2, ...Array.from({ length: 2000 }, (_, i) => i)]);
  await ring.close();
  await emit(1);
  await bpf.lookup(map(object, "table"), u64(1)); // a round trip through the thread
  t.is(seen.length, 2003);
  t.is(ring.dropped, 0);
  await ring.close(); // harmless
  const wrong = await t.throwsAsync(bpf.readRing(map(object, "table"), () => {}));
  t.true(isKernelError(wrong, "EINVAL"));
});

test.serial("records beyond what JavaScript takes are dropped and counted, not kept", async (t) => {
  const reader = await space(t);
  const writer = await space(t);
  const pins = bpffs(t);
  const object = await reader.bpf.load(file);
  await reader.bpf.pin(program(object, "emit"), join(pins, "emit"));
  const emit = await writer.bpf.openProgram(join(pins, "emit"));
  let seen = 0;
  const ring = await reader.bpf.readRing(map(object, "events"), (records) => {
    seen += records.length;
  });
  const busy = new Int32Array(new SharedArrayBuffer(4));
  let written = 0;
  // JavaScript stands still while both threads work; how much they do in that time is the machine's affair.
  for (let rounds = 200; ring.dropped === 0; rounds *= 2) {
    seen = 0;
    written = 0;
    const calls = Array.from({ length: rounds }, () => writer.bpf.testRun(emit, { context: u32(4000, 0) }));
    Atomics.wait(busy, 0, 0, rounds * 5);
    for (const call of await Promise.all(calls)) written += asU32(call.context)[1] ?? 0;
    await until(() => seen + ring.dropped === written);
  }
  t.true(written > 65_536);
  t.true(seen >= 65_535);
  await ring.close();
});

test.serial("a closed object answers EBADF, and closing twice is harmless", async (t) => {
  const { bpf } = await space(t);
  const object = await bpf.load(file);
  const table = map(object, "table");
  const pending = bpf.update(table, u64(1), u32(1)); // asked for before the close: still done
  table.close();
  table.close();
  await t.notThrowsAsync(pending);
  t.true(isKernelError(await t.throwsAsync(bpf.lookup(table, u64(1))), "EBADF"));
  program(object, "first").close();
  t.true(isKernelError(await t.throwsAsync(bpf.testRun(program(object, "first"), { data: frame })), "EBADF"));
});

test.serial("objects belong to the namespace that opened them and end with it", async (t) => {
  const one = await space(t);
  const other = await space(t);
  await collect();
  const before = openDescriptors();
  const object = await one.bpf.load(file);
  t.true(openDescriptors() > before);
  const foreign = await t.throwsAsync(other.bpf.lookup(map(object, "table"), u64(1)));
  t.true(isKernelError(foreign, "EINVAL"));
  await one.bpf.readRing(map(object, "events"), () => {});
  await one.close();
  t.true(openDescriptors() <= before, "the thread closed what it had opened");
  t.true(isKernelError(await t.throwsAsync(one.bpf.lookup(map(object, "table"), u64(1))), "ESHUTDOWN"));
  t.notThrows(() => map(object, "table").close());
});

test.serial("pins are opened as what they are, and nothing but pins is removed", async (t) => {
  const { bpf } = await space(t);
  const pins = bpffs(t);
  const object = await bpf.load(file);
  const path = join(pins, "first");
  await bpf.pin(program(object, "first"), path);
  t.is((await bpf.openProgram(path)).id, program(object, "first").id);
  t.is((await bpf.openProgram(path)).tag, program(object, "first").tag);
  t.true(isKernelError(await t.throwsAsync(bpf.openMap(path)), "EINVAL"));
  t.true(isKernelError(await t.throwsAsync(bpf.openLink(path)), "EINVAL"));
  t.true(isKernelError(await t.throwsAsync(bpf.pin(program(object, "first"), path)), "EEXIST"));
  await bpf.unpin(path);
  t.deepEqual(readdirSync(pins), []);
  t.true(isKernelError(await t.throwsAsync(bpf.unpin(path)), "ENOENT"));
  const plain = join(file, "..", "plain-file");
  writeFileSync(plain, "");
  t.true(isKernelError(await t.throwsAsync(bpf.unpin(plain)), "EINVAL"));
  t.true(readdirSync(join(file, "..")).includes("plain-file"));
});
