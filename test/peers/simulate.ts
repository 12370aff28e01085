/** A pure host: applies a plan to an observation as the kernel would, with its habits that matter to a diff. */
import type { Link, LinkSettings } from "../../daemon/kernel/kernel.ts";
import { linkCreate, peerSettings } from "../../daemon/links/link.ts";
import { ADDRESS_MARK, isSameAddress } from "../../daemon/model/addresses.ts";
import { familyOf } from "../../daemon/model/ip.ts";
import { bondBirth } from "../../daemon/links/bond.ts";
import type { Plan, Step } from "../../daemon/model/plan.ts";
import type { Observed, ObservedPort } from "../../daemon/model/target.ts";
import { changeBond, enslave, release, reported } from "./simulate-bond.ts";

const IFF_NOARP = 0x80;
const IFF_PROMISC = 0x100;

/** What a bridge is born with, before anyone sets anything. */
const BRIDGE_BIRTH = {
  stpState: 0,
  forwardDelay: 1500,
  mcastSnooping: true,
  nfCallIptables: true,
  nfCallIp6tables: true,
  nfCallArptables: true,
  vlanFiltering: false,
};

export function link(fields: Partial<Link> & Pick<Link, "ifindex" | "name">): Link {
  return {
    altNames: [],
    alias: "",
    kind: "",
    flags: 0,
    up: false,
    carrier: true,
    operState: 6,
    mtu: 1500,
    minMtu: 68,
    maxMtu: 9216,
    txQueueLength: 1000,
    mac: "02:00:00:00:00:01",
    permanentMac: "",
    master: 0,
    masterKind: "",
    link: 0,
    linkNetnsId: -1,
    promiscuity: 0,
    carrierChanges: 0,
    parentBus: "",
    parentDevice: "",
    pciPath: "",
    data: {},
    memberData: {},
    stats: {
      rxPackets: 0,
      rxBytes: 0,
      rxErrors: 0,
      rxDropped: 0,
      txPackets: 0,
      txBytes: 0,
      txErrors: 0,
      txDropped: 0,
    },
    ...fields,
  };
}

export function simulate(plan: Plan, observed: Observed): Observed {
  return plan.steps.reduce((state, step) => perform(step, state), observed);
}

/** Throws where the kernel would refuse. */
export function perform(step: Step, state: Observed): Observed {
  const { links, ports, addresses } = state;
  const find = (name: string, ifindex: number): Link => {
    const found = links.find((l) => (ifindex === 0 ? l.name === name : l.ifindex === ifindex));
    if (found === undefined) throw new Error(`ENODEV ${name} ${ifindex}`);
    return found;
  };
  switch (step.op) {
    case "create-link": {
      const { peer, kind, ...settings } = linkCreate(step.link);
      for (const name of [settings.name, peer?.name]) {
        if (links.some((l) => l.name === name)) throw new Error(`EEXIST ${name}`);
      }
      const ifindex = Math.max(0, ...links.map((l) => l.ifindex)) + 1;
      const mode = Number(step.link.data["mode"]);
      const data = kind === "bridge" ? BRIDGE_BIRTH : kind === "bond" ? reported(bondBirth(mode)) : {};
      const on = step.link.lower === undefined ? {} : { link: find(step.link.lower, 0).ifindex };
      const born = set(link({ ifindex, name: settings.name, kind, data, maxMtu: 65535, ...on }), settings);
      if (peer === undefined) return { ...state, links: [...links, born] };
      const other = link({
        ifindex: ifindex + 1,
        name: peer.name,
        kind,
        mtu: peer.mtu ?? 1500,
        link: ifindex,
        ...(peer.mac ? { mac: peer.mac } : {}),
      });
      const settled = set(other, peerSettings(step.link) ?? {});
      return { ...state, links: [...links, { ...born, link: ifindex + 1 }, settled] };
    }
    case "change-link": {
      const changed = find(step.name, step.ifindex);
      if (changed.kind === "bond") return { ...state, links: changeBond(changed, step.after, links) };
      return { ...state, links: links.map((l) => (l === changed ? set(l, step.after) : l)) };
    }
    case "enslave": {
      const nic = find(step.name, step.ifindex);
      return { ...state, links: enslave(nic, find(step.bond, 0), links) };
    }
    case "release": {
      const nic = find(step.name, step.ifindex);
      return { ...state, links: release(nic, find(step.bond, 0), links, step.up) };
    }
    case "delete-link": {
      // Namespace.deleteLink does not mind if it was gone already.
      const gone = links.find((l) => (step.ifindex === 0 ? l.name === step.name : l.ifindex === step.ifindex));
      if (gone === undefined) return state;
      if (links.some((l) => l.master === gone.ifindex)) throw new Error(`${gone.name} still has members`);
      const both = (l: Link): boolean =>
        l === gone ||
        (l.kind === "vlan" && l.link === gone.ifindex) ||
        (gone.kind === "veth" && gone.linkNetnsId < 0 && l.ifindex === gone.link);
      const stays = links.filter((l) => !both(l));
      return { links: stays, ports, addresses: addresses.filter((a) => stays.some((l) => l.ifindex === a.ifindex)) };
    }
    case "set-port": {
      const { ifindex } = find(step.port.linkName, 0);
      const before = ports.find((p) => p.ifindex === ifindex);
      const portId = before?.portId ?? Math.max(0, ...ports.map((p) => p.portId)) + 1;
      const port: ObservedPort = { ifindex, portId, config: step.port.config, attached: true };
      return { ...state, ports: before ? ports.map((p) => (p === before ? port : p)) : [...ports, port] };
    }
    case "set-workload-mtu":
      return state; // not of this namespace
    case "remove-port": {
      const ifindex = step.before.ifindex || find(step.linkName, 0).ifindex;
      return { ...state, ports: ports.filter((p) => p.ifindex !== ifindex) };
    }
    case "add-address": {
      const { ifindex } = find(step.name, step.ifindex);
      const { address, prefixLength } = step.address;
      if (addresses.some((a) => a.ifindex === ifindex && isSameAddress(a, step.address))) throw new Error("EEXIST");
      const family = familyOf(address);
      const added = { ifindex, family, address, prefixLength, scope: 0, flags: 0x80, protocol: ADDRESS_MARK };
      return { ...state, addresses: [...addresses, added] };
    }
    case "remove-address": {
      const { ifindex } = find(step.name, step.ifindex);
      const rest = addresses.filter((a) => a.ifindex !== ifindex || !isSameAddress(a, step.address));
      return { ...state, addresses: rest };
    }
  }
}

export function set(was: Link, settings: LinkSettings): Link {
  const { up, alias, mtu, mac, txQueueLength, promiscuous, noArp, data, name } = settings;
  if (mtu !== undefined && (mtu < was.minMtu || mtu > was.maxMtu)) throw new Error(`EINVAL mtu ${mtu} of ${was.name}`);
  const flag = (bit: number, on: boolean | undefined, flags: number): number =>
    on === undefined ? flags : on ? flags | bit : flags & ~bit;
  return {
    ...was,
    name: name ?? was.name,
    up: up ?? was.up,
    alias: alias ?? was.alias,
    mtu: mtu ?? was.mtu,
    mac: mac ?? was.mac,
    // A bond that was given an address keeps it when its first member comes.
    memberData: was.kind === "bond" && mac !== undefined ? { macIsSet: true } : was.memberData,
    txQueueLength: txQueueLength ?? was.txQueueLength,
    flags: flag(IFF_PROMISC, promiscuous, flag(IFF_NOARP, noArp, was.flags)),
    data: { ...was.data, ...data },
  };
}
