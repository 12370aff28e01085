/** Worlds for properties of plans: what is wanted, what is there, and what somebody did to it. */
import fc from "fast-check";
import type { Link } from "../../daemon/kernel/kernel.ts";
import { observedSettings } from "../../daemon/links/settings.ts";
import type { Attachment } from "../../daemon/model/attachment.ts";
import { type Compiled, compile } from "../../daemon/model/compile.ts";
import { diff } from "../../daemon/model/diff.ts";
import type { Plan } from "../../daemon/model/plan.ts";
import type { PortVlans } from "../../daemon/model/port.ts";
import type { Intent } from "../../daemon/model/resources.ts";
import type { Lease } from "../../daemon/model/lease.ts";
import type { Switching } from "../../daemon/model/switching.ts";
import { observedSwitchIds } from "../../daemon/model/switch-ids.ts";
import { isOurs, type Observed } from "../../daemon/model/target.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import { attachment, EBPF, hostNetwork, input, intent, network, vlanConfig, workloadLink } from "./model-fixtures.ts";
import { link, simulate } from "./simulate.ts";
export interface Wish {
  readonly intent: Intent;
  readonly attachments: readonly Attachment[];
  readonly switching?: Switching;
  readonly leases?: ReadonlyMap<string, Lease>;
}

const lease: Lease = {
  ...{ device: "a-br.100", address: "10.0.100.9", prefixLength: 24, server: "10.0.100.1" },
  ...{ obtainedAt: "2026-01-01T00:00:00.000Z", expiresAt: "2026-01-02T00:00:00.000Z" },
};

const names = ["a", "b", "c"];
/** A workload's cluster network is for life. */
const homes = { w1: "a", w2: "a", w3: "b", w4: "c" } as const;
const homeOf = fc.constantFrom(...(Object.keys(homes) as (keyof typeof homes)[]));
const nics = ["nic0", "nic1", "nic2", "absent"];
const vids = fc.constantFrom(1, 2, 100, 101, 4094);

const vlans: fc.Arbitrary<PortVlans> = fc.oneof(
  vids.map((vlan): PortVlans => ({ mode: "access", vlan })),
  fc.constant<PortVlans>({ mode: "untagged" }),
  fc
    .tuple(fc.array(vids, { minLength: 1 }), fc.constantFrom(0, 1, 100))
    .map(([tagged, native]): PortVlans => ({ mode: "trunk", tagged: VlanSet.from(tagged), native })),
);

export const wish: fc.Arbitrary<Wish> = fc
  .record({
    clusterNetworks: fc.uniqueArray(fc.constantFrom(...names)),
    uplinks: fc.uniqueArray(fc.constantFrom(...nics), { minLength: 3, maxLength: 3 }),
    withUplink: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
    mtus: fc.array(fc.constantFrom(0, 1400, 9000), { minLength: 3, maxLength: 3 }),
    natives: fc.array(fc.constantFrom(1, 100), { minLength: 3, maxLength: 3 }),
    networks: fc.array(fc.tuple(fc.constantFrom(...names), fc.constantFrom(0, 1, 100, 200), fc.boolean())),
    hosts: fc.uniqueArray(
      fc.tuple(
        fc.constantFrom(...names),
        fc.constantFrom(100, 200),
        fc.constantFrom("dhcp", "10.0.0.5", "2001:db8::5"),
        fc.constantFrom("", "02:00:5e:00:00:01"),
      ),
      { selector: ([cn, vlan]) => `${cn} ${vlan}` },
    ),
    switching: fc.constantFrom<Switching>(EBPF, { ...EBPF, datapath: "bridge", vlanFiltering: true, vlanLinks: true }),
    hasLease: fc.boolean(),
    workloads: fc.uniqueArray(fc.tuple(homeOf, vlans, fc.constantFrom(0, 1400, 9000), fc.constantFrom(0, 1400, 1500)), {
      selector: ([id]) => id,
    }),
  })
  .map((w) => {
    const at = (name: string): number => names.indexOf(name);
    const configs = w.clusterNetworks
      .filter((name) => w.withUplink[at(name)])
      .map((name) =>
        vlanConfig(name, [w.uplinks[at(name)] ?? ""], {
          mtu: w.mtus[at(name)] ?? 0,
          nativeVlan: w.natives[at(name)] ?? 1,
        }),
      );
    const networks = w.networks
      .filter(([cn]) => w.clusterNetworks.includes(cn))
      .map(([cn, vlan, probed], i) => network(`n${i}`, cn, vlan, probed));
    const hosts = w.hosts
      .filter(([cn]) => w.clusterNetworks.includes(cn))
      .map(([cn, vlan, address, hardwareAddress]) => hostNetwork(cn, vlan, address, { hardwareAddress }));
    return {
      switching: w.switching,
      leases: new Map(w.hasLease ? [[lease.device, lease]] : []),
      intent: intent(w.clusterNetworks, configs, networks, hosts),
      attachments: w.workloads.map(([id, v, mtuAsked, mtu]) => attachment(id, homes[id], v, { mtuAsked, mtu })),
    };
  });

/** The machine before us: three NICs, strangers with names of all kinds, and the workloads' links. */
export const machine: fc.Arbitrary<Observed> = fc
  .record({
    mtus: fc.array(fc.constantFrom(1400, 1500, 9000), { minLength: 3, maxLength: 3 }),
    up: fc.boolean(),
    promiscuous: fc.boolean(),
    strangers: fc.uniqueArray(fc.constantFrom("a-br", "b-pp", "c-pi", "docker0", "pww4", "lo")),
    workloads: fc.uniqueArray(homeOf),
  })
  .map((m) => {
    let ifindex = 1;
    const next = (): number => ifindex++;
    const links: Link[] = m.mtus.map((mtu, i) =>
      link({ ifindex: next(), name: `nic${i}`, mtu, up: m.up, flags: m.promiscuous ? 0x100 : 0 }),
    );
    for (const name of m.strangers) links.push(link({ ifindex: next(), name, kind: "bridge", mtu: 1300 }));
    for (const id of m.workloads) {
      const made = workloadLink(next(), attachment(id, homes[id], { mode: "untagged" }));
      if (!links.some((l) => l.name === made.name)) links.push(made);
    }
    return { links, ports: [], addresses: [] };
  });

export function compiled(of: Wish, observed: Observed, switchIds = observedSwitchIds(observed)): Compiled {
  return compile(input({ ...of, links: observed.links, ports: observed.ports, switchIds }));
}

/** What the records say when a plan is carried out. */
export function recorded(of: Wish, { steps }: Plan): Wish {
  const mtus = new Map(steps.flatMap((s) => (s.op === "set-workload-mtu" ? [[s.attachment, s.after] as const] : [])));
  return { ...of, attachments: of.attachments.map((a) => ({ ...a, mtu: mtus.get(a.id) ?? a.mtu })) };
}

export function reached(of: Wish, observed: Observed): Observed {
  return simulate(diff(compiled(of, observed).target, observed), observed);
}

/** All that a plan answers for; indexes and the MACs of what we make are the kernel's. */
export function shape(observed: Observed): unknown {
  const byIndex = new Map(observed.links.map((l) => [l.ifindex, l.name]));
  const links = observed.links.map((l) => {
    const { mac, data, ...settings } = observedSettings(l);
    return { name: l.name, kind: l.kind, ...settings, data: { ...data }, mac: isOurs(l) ? "" : mac };
  });
  const ports = observed.ports.map((p) => ({
    link: byIndex.get(p.ifindex) ?? "",
    config: { ...p.config, allowed: String(p.config.allowed), untagged: String(p.config.untagged) },
  }));
  const by =
    <T>(key: (x: T) => string) =>
    (x: T, y: T) =>
      key(x).localeCompare(key(y));
  const addresses = observed.addresses.map((a) => `${byIndex.get(a.ifindex)} ${a.address}/${a.prefixLength}`);
  return { links: links.sort(by((l) => l.name)), ports: ports.sort(by((p) => p.link)), addresses: addresses.sort() };
}

type Drift = (observed: Observed) => Observed;
const editOurs = (edit: (l: Link) => Link): Drift => {
  return (o) => ({ ...o, links: o.links.map((l) => (isOurs(l) ? edit(l) : l)) });
};
export const drift: fc.Arbitrary<Drift> = fc.constantFrom<Drift>(
  (o) => o,
  editOurs((l) => ({ ...l, up: false })),
  editOurs((l) => ({ ...l, mtu: 1280 })),
  editOurs((l) => ({ ...l, mtu: 9100 })),
  editOurs((l) => ({ ...l, flags: 0, data: { ...l.data, stpState: 1 } })),
  editOurs((l) => (l.name.endsWith("-pi") ? { ...l, name: "stray0" } : l)),
  editOurs((l) => (l.name.endsWith("-pi") ? { ...l, linkNetnsId: 3 } : l)),
  (o) => ({ ...o, links: o.links.filter((l) => !l.name.endsWith("-pi")) }),
  (o) => ({ ...o, links: o.links.filter((l) => !l.name.endsWith("-br")) }),
  (o) => ({ ...o, links: o.links.filter((l) => !l.name.startsWith("nic")) }),
  (o) => ({ ...o, links: o.links.filter((l) => !l.name.startsWith("pw")) }),
  (o) => ({ ...o, links: o.links.map((l) => (l.name.startsWith("nic") ? { ...l, flags: 0, up: false } : l)) }),
  (o) => ({ ...o, ports: o.ports.map((p) => ({ ...p, attached: false })) }),
  (o) => ({ ...o, ports: o.ports.slice(1) }),
  (o) => ({ ...o, addresses: o.addresses.slice(1) }),
  editOurs((l) => (l.kind === "vlan" ? { ...l, data: { id: 7 } } : l)),
  (o) => ({ ...o, ports: o.ports.map((p) => ({ ...p, config: { ...p.config, pvid: 7, mtu: 68 } })) }),
);
