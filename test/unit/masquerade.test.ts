// Who is masqueraded where to, and how the table follows the workloads, whatever becomes of it.
import test from "ava";
import fc from "fast-check";
import { Masquerade } from "../../daemon/attach/masquerade.ts";
import type { IpPrefix, Masquerade as Table } from "../../daemon/kernel/kernel.ts";
import { contains, parseCidr, parseIp } from "../../daemon/model/ip.ts";
import { type MasqueradeChange, MasqueradedWorkloads } from "../../daemon/model/masquerade.ts";
import { kernelError } from "../support/attach-fakes.ts";

const NOTHING: Table = { sources: [], subnets: [] };
const text = ({ address, prefixLength }: IpPrefix) => `${address}/${prefixLength}`;
const prefix = (of: string): IpPrefix => {
  const [address = "", length] = of.split("/");
  return { address, prefixLength: Number(length) };
};
const table = (sources: readonly string[], subnets: readonly string[]): Table => ({
  sources: sources.map(prefix),
  subnets: subnets.map(prefix),
});

/** What the kernel does with a change: all of it, or an error as it has it. */
class KernelTable {
  sources = new Set<string>();
  subnets = new Set<string>();

  constructor({ sources, subnets }: Table) {
    this.sources = new Set(sources.map(text));
    this.subnets = new Set(subnets.map(text));
  }

  change({ add, remove }: MasqueradeChange): void {
    const gone = (list: readonly IpPrefix[], there: Set<string>) => list.some((one) => !there.has(text(one)));
    if (gone(remove.sources, this.sources) || gone(remove.subnets, this.subnets)) {
      throw kernelError("ENOENT", 2, "table");
    }
    for (const one of remove.sources) this.sources.delete(text(one));
    for (const one of remove.subnets) this.subnets.delete(text(one));
    for (const one of add.sources) this.sources.add(text(one));
    for (const one of add.subnets) this.subnets.add(text(one));
  }

  get all(): Table {
    return table([...this.sources].sort(), [...this.subnets].sort());
  }

  /** As the rules have it: a set of sources and one of subnets for each prefix length. */
  masquerades(source: string, destination: string): boolean {
    return [...this.sources].some((one) => {
      const own = parseCidr(one);
      if (own === null || prefix(one).address !== source) return false;
      return ![...this.subnets].some((other) => {
        const subnet = parseCidr(other);
        const within = (ip: string) => subnet !== null && contains(subnet, parseIp(ip) ?? { family: 4, value: 0n });
        return subnet?.prefixLength === own.prefixLength && within(source) && within(destination);
      });
    });
  }
}

const sorted = ({ sources, subnets }: Table) => new KernelTable({ sources, subnets }).all;

test("a source is masqueraded beyond its own subnet, whatever subnets lie in it or around it", (t) => {
  const workloads = new MasqueradedWorkloads();
  const kernel = new KernelTable(NOTHING);
  kernel.change(workloads.set("narrow", [prefix("10.1.2.3/24")]));
  kernel.change(workloads.set("wide", [prefix("10.1.2.4/16"), prefix("fd00::3/64")]));
  t.false(kernel.masquerades("10.1.2.3", "10.1.2.9"));
  t.true(kernel.masquerades("10.1.2.3", "10.1.3.9"), "it is the other one's subnet");
  t.false(kernel.masquerades("10.1.2.4", "10.1.3.9"));
  t.true(kernel.masquerades("10.1.2.4", "10.2.0.9"));
  t.false(kernel.masquerades("fd00::3", "fd00::9"));
  t.true(kernel.masquerades("fd00::3", "fd00:0:0:1::9"));
  t.false(kernel.masquerades("10.1.2.9", "10.9.0.9"), "nobody's address");
});

test("a subnet is there as long as somebody is in it", (t) => {
  const workloads = new MasqueradedWorkloads();
  t.deepEqual(workloads.set("a", [prefix("10.1.2.3/24")]), {
    add: table(["10.1.2.3/24"], ["10.1.2.0/24"]),
    remove: NOTHING,
  });
  t.deepEqual(workloads.set("b", [prefix("10.1.2.4/24")]), { add: table(["10.1.2.4/24"], []), remove: NOTHING });
  t.deepEqual(workloads.delete("a"), { add: NOTHING, remove: table(["10.1.2.3/24"], []) });
  t.deepEqual(workloads.delete("b"), { add: NOTHING, remove: table(["10.1.2.4/24"], ["10.1.2.0/24"]) });
  t.true(workloads.isEmpty);
});

test("an address that two workloads have is there once, with the larger subnet, until both are gone", (t) => {
  const workloads = new MasqueradedWorkloads();
  workloads.set("a", [prefix("10.1.2.3/24")]);
  t.deepEqual(workloads.set("b", [prefix("10.1.2.3/16")]), {
    add: table(["10.1.2.3/16"], ["10.1.0.0/16"]),
    remove: table(["10.1.2.3/24"], ["10.1.2.0/24"]),
  });
  t.deepEqual(workloads.sourcesOf("a"), [prefix("10.1.2.3/16")]);
  t.deepEqual(workloads.delete("a"), { add: NOTHING, remove: NOTHING });
  t.deepEqual(workloads.all(), table(["10.1.2.3/16"], ["10.1.0.0/16"]));
});

const someIps = fc.array(
  fc.record({
    address: fc.constantFrom("10.1.2.3", "10.1.2.4", "10.1.3.3", "fd00::1", "FD00::1", "fd00::2"),
    prefixLength: fc.constantFrom(0, 15, 16, 24, 32),
  }),
  { maxLength: 3 },
);
const someSteps = fc.array(fc.record({ id: fc.constantFrom("a", "b", "c", "d"), ips: fc.option(someIps) }));

test("one change after the other makes what all of them make at once", (t) => {
  fc.assert(
    fc.property(someSteps, (steps) => {
      const [workloads, kernel] = [new MasqueradedWorkloads(), new KernelTable(NOTHING)];
      const last = new Map<string, readonly IpPrefix[]>();
      for (const { id, ips } of steps) {
        kernel.change(ips === null ? workloads.delete(id) : workloads.set(id, ips));
        if (ips === null) last.delete(id);
        else last.set(id, ips);
      }
      const anew = new MasqueradedWorkloads();
      for (const [id, ips] of last) anew.set(id, ips);
      t.deepEqual(kernel.all, sorted(anew.all()));
      t.deepEqual(sorted(workloads.all()), sorted(anew.all()));
    }),
  );
});

/** The kernel's table, which anybody may change, and a daemon that keeps it. */
function follower(found: Table | "changed" | null = null) {
  const state: { table: Table | "changed" | null; replaced: number; fails: string | null } = {
    table: found,
    replaced: 0,
    fails: null,
  };
  const step = async () => {
    await Promise.resolve();
    if (state.fails !== null) throw kernelError(state.fails, 1, "table");
  };
  const warnings: string[] = [];
  const masquerade = new Masquerade({
    log: { warn: (_, message) => void warnings.push(message) },
    namespace: {
      masquerade: async () => {
        await step();
        return state.table;
      },
      hasMasqueradeSource: async (source) => {
        await step();
        if (state.table === null || state.table === "changed") return false;
        return state.table.sources.some((one) => text(one) === text(source));
      },
      replaceMasquerade: async (all) => {
        await step();
        state.replaced++;
        state.table = all.sources.length === 0 ? null : sorted(all);
      },
      changeMasquerade: async (add, remove) => {
        await step();
        if (state.table === null || state.table === "changed") throw kernelError("ENOENT", 2, "table");
        const kernel = new KernelTable(state.table);
        kernel.change({ add, remove });
        state.table = kernel.all;
      },
    },
  });
  const attachment = (id: string, ...ips: readonly string[]) => ({ id, masquerade: true, ips: ips.map(prefix) });
  return { state, warnings, masquerade, attachment };
}

const WHOLE = table(["10.1.0.9/24"], ["10.1.0.0/24"]);

test("the table comes with the first workload and goes with the round after the last one", async (t) => {
  const { state, masquerade, attachment } = follower();
  await masquerade.compare();
  await masquerade.add(attachment("a", "10.1.0.9/24"));
  await masquerade.add(attachment("b", "10.1.0.10/24"));
  await masquerade.remove("b");
  t.deepEqual(state.table, WHOLE);
  t.is(state.replaced, 1, "the others were changes");
  await masquerade.remove("a");
  t.deepEqual(state.table, NOTHING);
  await masquerade.compare();
  t.is(state.table, null);
});

test("what somebody did to the table is put right after the round", async (t) => {
  const damages: readonly (Table | "changed" | null)[] = [
    null,
    "changed",
    NOTHING,
    table(["10.1.0.9/24", "10.1.0.99/24"], ["10.1.0.0/24", "10.7.0.0/24"]),
  ];
  for (const damage of damages) {
    const { state, masquerade, attachment } = follower(damage);
    const a = attachment("a", "10.1.0.9/24");
    masquerade.expect(a);
    await masquerade.compare();
    t.deepEqual(state.table, WHOLE, `found at the start: ${JSON.stringify(damage)}`);
    state.table = damage;
    await masquerade.compare();
    t.deepEqual(state.table, WHOLE, `later: ${JSON.stringify(damage)}`);
    t.deepEqual(await masquerade.verify(a), []);
    state.table = "changed";
    t.deepEqual(await masquerade.verify(a), ["10.1.0.9 is not masqueraded"]);
  }
});

test("a table that an earlier daemon left goes, in whatever shape; without one nothing is done", async (t) => {
  for (const found of [WHOLE, "changed", null] as const) {
    const { state, masquerade } = follower(found);
    await masquerade.compare();
    t.is(state.table, null);
    t.is(state.replaced, found === null ? 0 : 1);
  }
});

test("a workload comes and goes also where the table was flushed", async (t) => {
  const { state, masquerade, attachment } = follower();
  await masquerade.add(attachment("a", "10.1.0.9/24"));
  state.table = null;
  await masquerade.add(attachment("b", "10.1.0.10/24"));
  t.deepEqual(state.table, table(["10.1.0.10/24", "10.1.0.9/24"], ["10.1.0.0/24"]));
  state.table = "changed";
  await masquerade.remove("b");
  t.deepEqual(state.table, WHOLE);
});

test("after an error the whole table is made anew", async (t) => {
  const { state, warnings, masquerade, attachment } = follower();
  await masquerade.add(attachment("a", "10.1.0.9/24"));
  state.fails = "ENOBUFS";
  await t.throwsAsync(masquerade.add(attachment("b", "10.1.0.10/24")), { code: "ENOBUFS" });
  state.fails = null;
  await masquerade.add(attachment("c", "10.1.0.11/24"));
  t.deepEqual(state.table, table(["10.1.0.10/24", "10.1.0.11/24", "10.1.0.9/24"], ["10.1.0.0/24"]));
  state.fails = "ENOBUFS";
  await masquerade.remove("b");
  await masquerade.remove("c");
  await masquerade.compare();
  t.is(warnings.length, 3);
  state.fails = null;
  await masquerade.compare();
  t.deepEqual(state.table, WHOLE);
});

test("a kernel without nftables concerns only who asks for it", async (t) => {
  const { state, warnings, masquerade, attachment } = follower();
  state.fails = "EPROTONOSUPPORT";
  await masquerade.compare();
  t.deepEqual(warnings, []);
  await t.throwsAsync(masquerade.add(attachment("a", "10.1.0.9/24")), { code: "MASQUERADE_UNSUPPORTED" });
});

test("changes that come at once are made one after the other", async (t) => {
  const { state, masquerade, attachment } = follower();
  const many = Array.from({ length: 20 }, (_, i) => attachment(`a${i}`, `10.1.0.${i + 10}/24`));
  await Promise.all(many.map((one) => masquerade.add(one)));
  await Promise.all([...many.slice(1).map(({ id }) => masquerade.remove(id)), masquerade.compare()]);
  t.deepEqual(state.table, table(["10.1.0.10/24"], ["10.1.0.0/24"]));
});
