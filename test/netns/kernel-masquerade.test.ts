// Our nftables table on the real kernel: made, read back, changed in one transaction, looked at and changed by others.
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { Lab } from "../../daemon/demo/lab.ts";
import type { Masquerade } from "../../daemon/kernel/kernel.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { type Masqueraded, MasqueradedWorkloads } from "../../daemon/model/masquerade.ts";

const run = promisify(execFile);
const NOTHING: Masquerade = { sources: [], subnets: [] };

function prefix(text: string): Masqueraded {
  const [address = "", length] = text.split("/");
  return { address, prefixLength: Number(length) };
}

/** The table for one workload with these addresses. */
function table(...addresses: readonly string[]): Masquerade {
  const workloads = new MasqueradedWorkloads();
  workloads.set("w", addresses.map(prefix));
  return workloads.all();
}

function sorted(found: Masquerade | "changed" | null) {
  if (found === null || found === "changed") return found;
  const texts = (list: readonly Masqueraded[]) => list.map((one) => `${one.address}/${one.prefixLength}`).sort();
  return { sources: texts(found.sources), subnets: texts(found.subnets) };
}

async function host(t: ExecutionContext, name: string) {
  const lab = new Lab(nativeKernel(), `pwmasq${process.pid}-${name}`);
  t.teardown(() => lab.dispose());
  const { namespace: ns, path } = await lab.host("h");
  // By its path: node_modules has a program of that name.
  const nft = async (...args: string[]) => (await run("nsenter", [`--net=${path}`, "/usr/sbin/nft", ...args])).stdout;
  return { ns, nft };
}

test("what was put in is read back, of both families and each prefix length; without sources the table goes", async (t) => {
  const { ns } = await host(t, "read");
  t.is(await ns.masquerade(), null);
  await ns.replaceMasquerade(NOTHING);
  t.is(await ns.masquerade(), null);
  const wanted = table("10.1.0.9/24", "10.1.0.10/24", "10.1.0.11/16", "10.3.0.1/32", "10.4.0.1/0", "fd00::9/64");
  await ns.replaceMasquerade(wanted);
  t.deepEqual(sorted(await ns.masquerade()), sorted(wanted));
  await ns.replaceMasquerade(table("10.2.0.9/24"));
  t.deepEqual(sorted(await ns.masquerade()), sorted(table("10.2.0.9/24")));
  await ns.replaceMasquerade(NOTHING);
  t.is(await ns.masquerade(), null);
});

test("a change is whole or none", async (t) => {
  const { ns } = await host(t, "change");
  await t.throwsAsync(ns.changeMasquerade(table("10.1.0.9/24"), NOTHING), { code: "ENOENT" });
  await ns.replaceMasquerade(table("10.1.0.9/24", "fd00::1/64"));
  await ns.changeMasquerade(table("10.1.0.10/24", "fd00::9/64"), table("10.1.0.9/24"));
  const now = table("10.1.0.10/24", "fd00::9/64", "fd00::1/64");
  t.deepEqual(sorted(await ns.masquerade()), sorted(now), "what goes and comes again is there");
  await t.throwsAsync(ns.changeMasquerade(table("10.9.0.1/24"), table("10.8.0.1/24")), { code: "ENOENT" });
  await t.throwsAsync(ns.changeMasquerade(table("10.9.0.1/24", "10.8.0.1/23"), NOTHING), { code: "ENOENT" });
  t.deepEqual(sorted(await ns.masquerade()), sorted(now));
});

test("thousands of addresses are one transaction, and one is found among them", async (t) => {
  const { ns } = await host(t, "many");
  const many = table(...Array.from({ length: 4095 }, (_, i) => `10.1.${i >> 8}.${i & 255}/16`));
  const before = ns.writes.netlink;
  await ns.replaceMasquerade(many);
  t.is(ns.writes.netlink, before + 1);
  t.deepEqual(sorted(await ns.masquerade()), sorted(many));
  t.true(await ns.hasMasqueradeSource(prefix("10.1.7.9/16")));
  t.false(await ns.hasMasqueradeSource(prefix("10.1.7.9/24")));
  t.false(await ns.hasMasqueradeSource(prefix("10.2.7.9/16")));
  t.false(await ns.hasMasqueradeSource(prefix("fd00::9/64")));
});

test("nft lists the table, and what it lists it takes", async (t) => {
  const { ns, nft } = await host(t, "nft");
  const wanted = table("10.1.0.9/24", "10.1.0.11/16", "10.3.0.1/32", "10.4.0.1/0", "fd00::9/64", "fd00::8/128");
  await ns.replaceMasquerade(wanted);
  const listed = await nft("list", "ruleset");
  t.regex(
    listed,
    /ip saddr @masquerade4-24 ip daddr != 224\.0\.0\.0-239\.255\.255\.255 ip saddr & 255\.255\.255\.0 \. ip daddr & 255\.255\.255\.0 != @subnets4-24 masquerade/,
  );
  await nft("flush", "ruleset");
  t.is(await ns.masquerade(), null);
  await nft(listed.replaceAll("\n", " ; ").replaceAll("\t", " "));
  t.deepEqual(sorted(await ns.masquerade()), sorted(wanted));
});

test("a table with ranges of destinations, as an earlier daemon made it, is replaced", async (t) => {
  const { ns, nft } = await host(t, "earlier");
  const set = "{ type ipv4_addr . ipv4_addr; flags interval; elements = { 10.1.0.9 . 0.0.0.0-10.0.255.255 }; }";
  await nft("add table inet portwright; add set inet portwright masquerade4", set);
  t.is(await ns.masquerade(), "changed");
  t.false(await ns.hasMasqueradeSource(prefix("10.1.0.9/24")));
  await ns.replaceMasquerade(table("10.1.0.9/24"));
  t.deepEqual(sorted(await ns.masquerade()), sorted(table("10.1.0.9/24")));
});

const CHANGES = {
  "the rules are gone": ["flush", "chain", "inet", "portwright", "postrouting"],
  "a rule was added": ["add", "rule", "inet", "portwright", "postrouting", "accept"],
  "a set was added": ["add", "set", "inet", "portwright", "masquerade4", "{ type ipv4_addr; }"],
  "an element is no subnet": ["add", "element", "inet", "portwright", "subnets4-24", "{ 10.1.0.0 . 10.2.0.0 }"],
};

for (const [what, command] of Object.entries(CHANGES)) {
  test(`a table that somebody changed is not taken for ours: ${what}`, async (t) => {
    const { ns, nft } = await host(t, what.replace(/\W/g, ""));
    const wanted = table("10.1.0.9/24");
    await ns.replaceMasquerade(wanted);
    await nft(...command);
    t.is(await ns.masquerade(), "changed");
    await ns.replaceMasquerade(wanted);
    t.deepEqual(sorted(await ns.masquerade()), sorted(wanted));
  });
}
