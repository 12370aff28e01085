/** The verbs: from the request's text to what the runtime reads on stdout. */
import { PortwrightError } from "../errors.ts";
import type { NetnsHandle } from "../kernel/kernel.ts";
import { reachesWorkload } from "../model/attachment.ts";
import { DEFAULT_VLAN, type PortVlans } from "../model/port.ts";
import { type Addressing, ipamAddressing } from "./addressing.ts";
import { type AttachSpec, attachmentId, type Made } from "./attachments.ts";
import { chainedResult } from "./chain.ts";
import type { CniRequest } from "./cni-request.ts";
import type { JsonObject } from "../safe-json.ts";
import { parseEnvironment, type PortEnvironment } from "./environment.ts";
import type { IpamCall } from "./ipam.ts";
import { bridgeNameOf } from "./netconf-bridge.ts";
import { decodeNetConf, looseNetConf, type NetConf, parseNetConf } from "./netconf.ts";
import { gc, type NetworkVerbsHost, status } from "./network-verbs.ts";
import type { AttachmentRecord, CniCall } from "./records.ts";
import { hasDns, type CniResult } from "./result.ts";
import { requireVerb, requireVersion } from "./version.ts";

/** What the verbs need of the service. */
export interface CniHost extends NetworkVerbsHost {
  openNetns(path: string, allowOwn: boolean): NetnsHandle;
  record(id: string): AttachmentRecord | undefined;
  make(spec: AttachSpec): Promise<Made>;
  /** of the record that the id has when it is its turn; `wanted` may decline it */
  unmake(id: string, wanted: (record: AttachmentRecord) => boolean, call: DeleteCall | null): Promise<"gone" | "none">;
  verify(id: string, netns: NetnsHandle, prevResult: CniResult): Promise<readonly string[]>;
}

/** What a DEL brought along for IPAM. */
export interface DeleteCall extends CniCall {
  readonly ipamType: string;
  readonly stderr: (text: string) => void;
}

export class CniVerbs {
  readonly #host: CniHost;

  constructor(host: CniHost) {
    this.#host = host;
  }

  /** Resolves with what goes to stdout. `stderr` collects what goes there. */
  async run(request: CniRequest, stderr: (text: string) => void): Promise<string> {
    const env = parseEnvironment(request.env);
    switch (env.command) {
      case "ADD":
        return await this.#add(env, request, stderr);
      case "DEL":
        return await this.#del(env, request, stderr);
      case "CHECK":
        return await this.#check(env, request, stderr);
      case "GC":
      case "STATUS": {
        const raw = decodeNetConf(request.stdin);
        requireVerb(env.command, requireVersion(raw.cniVersion));
        const verb = env.command === "GC" ? gc : status;
        return await verb(this.#host, raw, request, (type) => ipamCall(type, request, stderr));
      }
    }
  }

  async #add(env: PortEnvironment, request: CniRequest, stderr: (text: string) => void): Promise<string> {
    const conf = this.#parse(decodeNetConf(request.stdin), env, request);
    for (const note of conf.notes) stderr(`${note}\n`);
    const addressing = conf.ipamType === "" ? null : this.#found(conf.ipamType, request, stderr);
    const netns = this.#host.openNetns(env.netns, env.allowOwnNetns);
    try {
      const made = await this.#host.make({
        containerId: env.containerId,
        interface: env.interface,
        netnsPath: env.netns,
        netns,
        port: conf.port,
        origin: { kind: "cni", cniVersion: conf.cniVersion, networkName: conf.name, ipamType: conf.ipamType },
        cni: { env: cniVariables(request.env), stdin: request.stdin },
        routing: conf.routing,
        dad: conf.dad,
        addressing,
      });
      return text(chainedResult(conf.prevResult, ownResult(made, conf), conf.cniVersion));
    } finally {
      netns.close();
    }
  }

  /**
   * Finds the port by our own record, whatever the configuration says now. A record of another network under the same
   * container and interface is not this DEL's: it comes from an ADD that was refused because of that very record.
   */
  async #del(env: PortEnvironment, request: CniRequest, stderr: (text: string) => void): Promise<string> {
    const id = attachmentId(env.containerId, env.interface);
    let raw: JsonObject | null = null;
    let unreadable: unknown = null;
    try {
      raw = decodeNetConf(request.stdin);
    } catch (error) {
      unreadable = error;
    }
    const conf = raw === null ? null : looseNetConf(raw);
    const mine = (record: AttachmentRecord) =>
      record.attachment.origin.kind === "api" || conf === null || record.attachment.origin.networkName === conf.name;
    const call = conf && { env: cniVariables(request.env), stdin: request.stdin, ipamType: conf.ipamType, stderr };
    if ((await this.#host.unmake(id, mine, call)) === "gone") return "";
    if (conf === null) throw unreadable;
    // Nothing of ours; but addresses may be held for it, and nobody else remembers whom to ask.
    if (conf.ipamType !== "") await this.#addressing(conf.ipamType, request, stderr).release();
    return "";
  }

  async #check(env: PortEnvironment, request: CniRequest, stderr: (text: string) => void): Promise<string> {
    const raw = decodeNetConf(request.stdin);
    requireVerb("CHECK", requireVersion(raw.cniVersion));
    // Its process takes longer to start than the rest of the check.
    const { ipamType } = looseNetConf(raw);
    const addresses = ipamType === "" ? null : this.#host.ipam.check(ipamCall(ipamType, request, stderr));
    addresses?.catch(() => {}); // reported where it is awaited
    const conf = this.#parse(raw, env, request);
    if (conf.prevResult === null) throw new PortwrightError("CNI_CONFIG", "prevResult is missing, and CHECK needs it");
    const id = attachmentId(env.containerId, env.interface);
    const record = this.#host.record(id);
    if (record?.attachment.state !== "ready") throw new PortwrightError("ATTACHMENT_UNKNOWN", `${id} is not attached`);

    const differences = [...compareConf(record, conf), ...compareResult(env, record, conf.prevResult.result)];
    const netns = this.#host.openNetns(env.netns, env.allowOwnNetns);
    try {
      const { device, inode } = record.attachment.netns;
      if (`${netns.device}` !== device || `${netns.inode}` !== inode)
        differences.push(`${env.netns} is not the namespace that ${id} was attached in`);
      else differences.push(...(await this.#host.verify(id, netns, conf.prevResult.result)));
    } finally {
      netns.close();
    }
    if (differences.length > 0) throw new PortwrightError("CHECK_FAILED", `${id}: ${differences.join("; ")}`);
    await addresses;
    return "";
  }

  #parse(raw: JsonObject, env: PortEnvironment, request: CniRequest): NetConf {
    requireVerb(env.command, requireVersion(raw.cniVersion));
    return parseNetConf(raw, request.env.CNI_ARGS ?? "", this.#host.intent());
  }

  /** of a plugin that is there */
  #found(type: string, request: CniCall, stderr: (text: string) => void): Addressing {
    const call = ipamCall(type, request, stderr);
    return ipamAddressing(this.#host.ipam, { ...call, file: this.#host.ipam.find(call) });
  }

  #addressing(type: string, request: CniCall, stderr: (text: string) => void): Addressing {
    return ipamAddressing(this.#host.ipam, ipamCall(type, request, stderr));
  }
}

export function ipamCall(type: string, { env, stdin }: CniCall, stderr: (text: string) => void): IpamCall {
  return { type, env: cniVariables(env), stdin, stderr };
}

/** Nothing but CNI_* reaches a plugin, or the disk. */
function cniVariables(env: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(env).filter(([name]) => name.startsWith("CNI_")));
}

function ownResult({ attachment, port, addressing, gateway: router }: Made, conf: NetConf): CniResult {
  return {
    interfaces: [
      port.bridge.mac === "" ? { name: port.bridge.name } : port.bridge,
      ...(isKnown(port.hostInterface, conf.prevResult?.result)
        ? []
        : [{ name: port.hostInterface, ...(port.hostMac === "" ? {} : { mac: port.hostMac }), mtu: port.mtu }]),
      ...(reachesWorkload(attachment)
        ? [{ name: attachment.interface, mac: port.mac, mtu: port.mtu, sandbox: attachment.netnsPath }]
        : []),
      // As the stock plugin: the interface in a VLAN that has the gateway comes last.
      ...(router === null || attachment.vlans.mode === "untagged" ? [] : [router]),
    ],
    ips: addressing.ips.map(({ address, gateway }) => ({ address, ...(gateway ? { gateway } : {}), interface: 2 })),
    routes: addressing.routes,
    dns: hasDns(conf.dns) ? conf.dns : addressing.dns,
  };
}

/** An existing device that a plugin before us has told of already. */
function isKnown(hostInterface: string, previous: CniResult | undefined): boolean {
  return previous?.interfaces.some(({ name, sandbox }) => name === hostInterface && !sandbox) ?? false;
}

/** The configuration may have been edited since ADD: then the port is no longer what it asks for. */
function compareConf({ attachment }: AttachmentRecord, { port, name }: NetConf): string[] {
  const differences: string[] = [];
  const { origin } = attachment;
  if (origin.kind === "cni" && origin.networkName !== name)
    differences.push(`it belongs to the network ${origin.networkName}, not ${name}`);
  const [bridge, wanted] = [bridgeNameOf(attachment), bridgeNameOf(port)];
  if (bridge !== wanted) differences.push(`it is on bridge ${bridge}, not ${wanted}`);
  if (port.device.kind !== attachment.device.kind)
    differences.push(`its device is ${attachment.device.kind}, not ${port.device.kind}`);
  if (!sameVlans(port.vlans, attachment.vlans))
    differences.push(`it has ${describeVlans(attachment.vlans)}, not ${describeVlans(port.vlans)}`);
  return differences;
}

function compareResult(env: PortEnvironment, { attachment }: AttachmentRecord, { interfaces }: CniResult): string[] {
  if (!reachesWorkload(attachment)) {
    const { hostInterface } = attachment;
    const known = interfaces.some(({ name, sandbox }) => name === hostInterface && !sandbox);
    return known ? [] : [`prevResult has no interface ${hostInterface} on the host`];
  }
  const there = interfaces.some((known) => known.name === env.interface && known.sandbox === env.netns);
  return there ? [] : [`prevResult has no interface ${env.interface} in ${env.netns}`];
}

function sameVlans(a: PortVlans, b: PortVlans): boolean {
  return describeVlans(a) === describeVlans(b);
}

function describeVlans(vlans: PortVlans): string {
  switch (vlans.mode) {
    case "access":
      return `VLAN ${vlans.vlan}${describeDefault(vlans.defaultVlan)}`;
    case "untagged":
      return "no VLAN";
    case "trunk":
      return `VLANs ${vlans.tagged} with native VLAN ${vlans.native}${describeDefault(vlans.defaultVlan)}`;
  }
}

function describeDefault(kept: true | undefined): string {
  return kept ? ` and VLAN ${DEFAULT_VLAN} kept` : "";
}

function text(value: object): string {
  return `${JSON.stringify(value)}\n`;
}
