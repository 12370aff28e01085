/** What tests of changes compare and speak to: the host's state, a gateway on the wire, metrics. */
import type { Link, Namespace } from "../../daemon/kernel/kernel.ts";
import { settableBondData } from "../../daemon/links/bond.ts";
import { ETH_P_ARP, frame } from "../peers/frames.ts";
import { network, OOB, type TestHost } from "./test-host.ts";

export const PROBED = (vlan: number): string =>
  `${OOB()}---${network("probed", vlan, "route: { mode: manual, cidr: 10.100.0.0/24, gateway: 10.100.0.1 }")}`;

type Links = readonly Link[];

export interface HostState {
  readonly links: readonly object[];
  readonly ports: readonly object[];
}

/** The links alone. */
export async function linkState(namespace: Namespace): Promise<readonly object[]> {
  const links = await namespace.links();
  return links.map((link) => settable(link, links)).toSorted(byName);
}

/** All that can be set. What a link gets anew with every life (index, a random MAC) and what only counts is left out. */
export async function hostState(h: TestHost): Promise<HostState> {
  const ports = await h.ports();
  return { links: await linkState(h.host.namespace), ports: ports.map(plainPort).toSorted(byName) };
}

function settable({ name, alias, kind, up, flags, mtu, txQueueLength, mac, master, data: all }: Link, links: Links) {
  // IFF_RUNNING and IFF_LOWER_UP follow the other end
  const set = flags & ~0x10040;
  // Options of other modes stay behind in a bond, without effect; some can only be set in a mode that is not its own.
  const data = kind === "bond" ? settableBondData(all) : all;
  const inside = links.find(({ ifindex }) => ifindex === master)?.name ?? "";
  const keptMac = /^nic|-bo$/.test(name) ? mac : "";
  return { name, alias, kind, up, flags: set, mtu, txQueueLength, data, inside, mac: keptMac };
}

function plainPort(port: Awaited<ReturnType<TestHost["ports"]>>[number]) {
  const { counters: _, ifindex: __, device: name, carrier: ___, ...rest } = port;
  return { name, ...rest };
}

function byName(a: { readonly name: string }, b: { readonly name: string }): number {
  return a.name < b.name ? -1 : 1;
}

export async function metric(h: TestHost, series: string): Promise<number> {
  const { http } = await h.status();
  const text = await (await fetch(`${http}/metrics`)).text();
  const line = text.split("\n").find((one) => one.startsWith(`${series} `));
  return Number(line?.slice(series.length + 1) ?? Number.NaN);
}

const GATEWAY_MAC = "02:00:00:00:99:01";
const GATEWAY = [10, 100, 0, 1];
const REPLY = 2;

/** A gateway on the wire that answers ARP for 10.100.0.1 in one VLAN, tagged. Ends with the wire's namespace. */
export async function addGateway(h: TestHost, vlan: number, nic = "nic0"): Promise<void> {
  const link = await h.wire.namespace.link({ name: nic });
  if (!link) throw new Error(`the wire has no ${nic}`);
  const options = { ifindex: link.ifindex, promiscuous: true };
  const socket = await h.wire.namespace.openPacketSocket(options, (frames) => {
    for (const { data, vlan: tag } of frames) {
      const bytes = Buffer.from(data);
      if (tag === undefined || (tag.tci & 0xfff) !== vlan || bytes.length < 42) continue;
      const isRequest = bytes.readUInt16BE(12) === ETH_P_ARP && bytes.readUInt16BE(20) === 1;
      if (!isRequest || !bytes.subarray(38, 42).equals(Buffer.from(GATEWAY))) continue;
      const payload = Buffer.alloc(28);
      bytes.copy(payload, 0, 14, 20); // hardware and protocol as asked
      payload.writeUInt16BE(REPLY, 6);
      Buffer.from(GATEWAY_MAC.replaceAll(":", ""), "hex").copy(payload, 8);
      Buffer.from(GATEWAY).copy(payload, 14);
      bytes.copy(payload, 18, 22, 32); // to who asked
      const dst = bytes.subarray(6, 12).toString("hex").match(/../g)?.join(":") ?? "";
      const reply = frame({ dst, src: GATEWAY_MAC, tags: [{ vid: vlan }], etherType: ETH_P_ARP, payload });
      void socket.send(reply).catch(() => undefined);
    }
  });
}
