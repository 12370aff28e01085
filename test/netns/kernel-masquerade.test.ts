// Our nftables table on the real kernel: made, read back, changed in one transaction, flushed by others.
import test, { type ExecutionContext } from "ava";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { masqueradeRanges } from "../../daemon/model/masquerade.ts";
import { Lab } from "../../daemon/demo/lab.ts";

const ranges = (...addresses: readonly string[]) =>
  masqueradeRanges(addresses.map((address) => ({ address, prefixLength: address.includes(":") ? 64 : 24 })));
const sorted = (list: Awaited<ReturnType<typeof ranges>> | null) => list?.map((one) => JSON.stringify(one)).sort();

async function namespace(t: ExecutionContext, name: string) {
  const lab = new Lab(nativeKernel(), `pwmasq${process.pid}-${name}`);
  t.teardown(() => lab.dispose());
  return (await lab.host("h")).namespace;
}

test("what was put in is read back, of both families; without ranges the table goes", async (t) => {
  const ns = await namespace(t, "read");
  t.is(await ns.masquerade(), null);
  await ns.replaceMasquerade([]);
  t.is(await ns.masquerade(), null);
  const wanted = ranges("10.1.0.9", "10.1.0.10", "fd00::9");
  await ns.replaceMasquerade(wanted);
  t.deepEqual(sorted(await ns.masquerade()), sorted(wanted));
  await ns.replaceMasquerade(ranges("10.2.0.9"));
  t.deepEqual(sorted(await ns.masquerade()), sorted(ranges("10.2.0.9")));
  await ns.replaceMasquerade([]);
  t.is(await ns.masquerade(), null);
});

test("a change is whole or none", async (t) => {
  const ns = await namespace(t, "change");
  await t.throwsAsync(ns.changeMasquerade(ranges("10.1.0.9"), []), { code: "ENOENT" });
  await ns.replaceMasquerade(ranges("10.1.0.9"));
  await ns.changeMasquerade(ranges("10.1.0.10", "fd00::9"), ranges("10.1.0.9"));
  t.deepEqual(sorted(await ns.masquerade()), sorted(ranges("10.1.0.10", "fd00::9")));
  await t.throwsAsync(ns.changeMasquerade(ranges("10.9.0.1"), ranges("10.8.0.1")), { code: "ENOENT" });
  t.deepEqual(sorted(await ns.masquerade()), sorted(ranges("10.1.0.10", "fd00::9")));
  const wider = masqueradeRanges([{ address: "10.1.0.10", prefixLength: 16 }]);
  await ns.changeMasquerade(wider, ranges("10.1.0.10"));
  t.deepEqual(sorted(await ns.masquerade()), sorted([...wider, ...ranges("fd00::9")]));
});

test("thousands of addresses are one transaction", async (t) => {
  const ns = await namespace(t, "many");
  const many = ranges(...Array.from({ length: 4095 }, (_, i) => `10.1.${i >> 8}.${i & 255}`));
  const before = ns.writes.netlink;
  await ns.replaceMasquerade(many);
  t.is(ns.writes.netlink, before + 1);
  t.is((await ns.masquerade())?.length, 2 * 4095);
});
