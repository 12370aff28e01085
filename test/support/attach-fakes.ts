/** A host without a kernel, for tests of the attach room: namespaces, ports and addresses as plain data, failures at will. */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { AttachService, type AttachServiceOptions } from "../../daemon/attach/attach-service.ts";
import type { CniReply } from "../../daemon/attach/cni-request.ts";
import { DeleteQueue } from "../../daemon/attach/delete-queue.ts";
import type { Addresses } from "../../daemon/attach/ipam.ts";
import type { NetworkHealth } from "../../daemon/attach/network-verbs.ts";
import type { MadePort, PortMaker, PortRequest } from "../../daemon/attach/port-maker.ts";
import { BlockFiles } from "../../daemon/state/block-files.ts";
import { Records } from "../../daemon/attach/records.ts";
import type { CniResult } from "../../daemon/attach/result.ts";
import { PortwrightError } from "../../daemon/errors.ts";
import { KernelError } from "../../daemon/kernel/kernel-error.ts";
import type { Address, Kernel, Link, LinkRef, Namespace, NetnsHandle, RouteSpec } from "../../daemon/kernel/kernel.ts";
import type { Attachment } from "../../daemon/model/attachment.ts";
import type { Network } from "../../daemon/model/resources.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";

export function kernelError(code: string, errno: number, object: string): KernelError {
  return new KernelError({ code, errno, op: "test", object, kernelText: "", message: `${object}: ${code}` });
}

interface FakeLink {
  ifindex: number;
  name: string;
  mac: string;
  kind: string;
  up: boolean;
}
export interface FakeNetns {
  readonly inode: bigint;
  readonly isOwn: boolean;
  readonly links: FakeLink[];
  readonly addresses: Address[];
  readonly routes: RouteSpec[];
  readonly sysctls: Map<string, string>;
  readonly frames: Uint8Array[];
}

/** where nobody looks: the end of a port that is the host's alone */
const HOST_NETNS: FakeNetns = {
  ...{ inode: 0n, isOwn: true, links: [], addresses: [], routes: [], sysctls: new Map(), frames: [] },
};

export class FakeHost {
  readonly stateDir = mkdtempSync(join(tmpdir(), `pw-attach-${process.pid}-`));
  readonly namespaces = new Map<string, FakeNetns>();
  /** attachment id -> its port */
  readonly ports = new Map<string, { request: PortRequest; made: MadePort }>();
  /** "<network> <containerId>/<interface>" held by IPAM */
  readonly leases = new Map<string, CniResult>();
  readonly log: { level: string; fields: object; message: string }[] = [];
  readonly events: string[] = [];
  readonly ipamCalls: string[] = [];
  readonly verifyResult: string[] = [];
  /** attachments */
  readonly masqueraded = new Set<string>();
  /** what the host was asked to be the gateway of */
  readonly routed: { gateways: Attachment["gateways"]; forceAddress: boolean }[] = [];
  readonly opened: string[] = [];
  /** put into ports, in order */
  readonly sent: Uint8Array[] = [];
  readonly networks = new Map<string, Network>();
  ipamResult: Omit<CniResult, "interfaces"> = {
    ips: [{ address: "10.9.0.2/24", gateway: "10.9.0.1" }],
    routes: [{ dst: "0.0.0.0/0" }],
    dns: {},
  };
  ipamVersions: readonly string[] = ["1.0.0", "1.1.0"];
  health: NetworkHealth = { cannotAttach: [], suffers: [] };
  openHandles = 0;
  openNamespaces = 0;
  #nextIfindex = 10;
  #nextInode = 1000n;
  /** called before each named step; may throw, or hang for ever as a crash would */
  onStep: (step: string) => Promise<void> | void = () => {};

  /** called before a namespace is opened; may throw */
  onOpen: (path: string) => void = () => {};

  addNetns(path: string, isOwn = false): FakeNetns {
    const empty = { links: [], addresses: [], routes: [], sysctls: new Map(), frames: [] };
    const netns = { inode: this.#nextInode++, isOwn, ...empty };
    this.namespaces.set(path, netns);
    return netns;
  }

  readonly kernel: Pick<Kernel, "openNetns" | "enter" | "runProgram"> = {
    runProgram: ({ file }) => Promise.reject(kernelError("ENOENT", 2, file)),
    openNetns: (path: string): NetnsHandle => {
      this.onOpen(path);
      const netns = this.namespaces.get(path);
      if (netns === undefined) throw kernelError("ENOENT", 2, path);
      this.openHandles++;
      let open = true;
      return {
        device: 4n,
        inode: netns.inode,
        isOwn: netns.isOwn,
        close: () => {
          if (open) this.openHandles--;
          open = false;
        },
      };
    },
    enter: async (handle: NetnsHandle): Promise<Namespace> => {
      await this.onStep("enter");
      return this.#namespace(this.#find(handle));
    },
  };

  readonly portMaker: PortMaker = {
    make: async (request) => {
      await this.onStep("make");
      const netns = request.workload ? this.#find(request.workload.netns) : HOST_NETNS;
      if (request.clusterNetwork !== "oob")
        throw new PortwrightError("BRIDGE_UNKNOWN", `no cluster network ${request.clusterNetwork}`);
      if (netns.links.some((link) => link.name === request.interface))
        throw new PortwrightError("INTERFACE_EXISTS", `${request.interface} exists already`);
      const hostIfindex = this.#nextIfindex++;
      const made: MadePort = {
        hostInterface: `pw${hostIfindex}`,
        hostIfindex,
        hostMac: "02:00:00:00:00:01",
        bridge: { name: `${request.clusterNetwork}-br`, mac: "02:00:00:00:00:0b" },
        containerIfindex: this.#nextIfindex++,
        mac: request.mac || "02:00:00:00:00:02",
        mtu: request.mtu || 1500,
      };
      netns.links.push({
        ifindex: made.containerIfindex,
        name: request.interface,
        mac: made.mac,
        kind: "veth",
        up: !request.containerDown,
      });
      this.ports.set(request.id, { request, made });
      await this.onStep("made");
      return made;
    },
    made: () => {},
    open: async ({ id }) => {
      await this.onStep("open");
      this.opened.push(id);
    },
    send: async (_attachment, frames) => {
      await this.onStep("send");
      this.sent.push(...frames);
    },
    route: async ({ gateways }, forceAddress) => {
      await this.onStep("gateway");
      this.routed.push({ gateways, forceAddress });
      return { name: "oob-br.100", mac: "02:00:00:00:00:0c" };
    },
    unmake: async ({ id }) => {
      await this.onStep("unmake");
      const port = this.ports.get(id);
      this.ports.delete(id);
      for (const netns of this.namespaces.values()) {
        const at = netns.links.findIndex((link) => link.ifindex === port?.made.containerIfindex);
        if (at < 0) continue;
        netns.links.splice(at, 1);
        remove(netns.addresses, (address) => address.ifindex === port?.made.containerIfindex);
        remove(netns.routes, (route) => route.ifindex === port?.made.containerIfindex);
      }
    },
    verify: async (attachment: Attachment) => {
      if (!this.ports.has(attachment.id)) return [`${attachment.hostInterface} is gone`];
      return this.verifyResult;
    },
  };

  readonly ipam: Addresses = {
    find: ({ type }) => `/usr/lib/cni/${type}`,
    add: async (call) => {
      this.ipamCalls.push(`ADD ${call.type}`);
      await this.onStep("ipam-add");
      const result = { interfaces: [], ...this.ipamResult };
      this.leases.set(leaseKey(call.env, call.stdin), result);
      await this.onStep("ipam-added");
      return { result, confirmed: (async () => await this.onStep("ipam-confirmed"))() };
    },
    del: async (call) => {
      this.ipamCalls.push(`DEL ${call.type}`);
      await this.onStep("ipam-del");
      this.leases.delete(leaseKey(call.env, call.stdin));
    },
    check: async (call) => {
      this.ipamCalls.push(`CHECK ${call.type}`);
      await this.onStep("ipam-check");
    },
    gc: async (call) => {
      this.ipamCalls.push(`GC ${call.type}`);
      await this.onStep("ipam-gc");
    },
    status: async (call) => {
      this.ipamCalls.push(`STATUS ${call.type}`);
      await this.onStep("ipam-status");
    },
    versions: async () => this.ipamVersions,
  };

  /** As at a start of the daemon: what is on disk is read anew. */
  service(options: Partial<AttachServiceOptions> = {}): AttachService {
    const step = (name: string) => this.onStep(name);
    class Files extends BlockFiles {
      override write(name: string, text: string): void {
        const what = text.includes('"state":"ready"') ? "write-ready" : "write-pending";
        if (step(what) instanceof Promise) throw new Error(`${what} is synchronous: it cannot hang`);
        super.write(name, text);
      }
    }
    const log = this.#logger();
    return new AttachService({
      portMaker: this.portMaker,
      records: new Records(new Files(join(this.stateDir, "attachments")), log),
      deleteQueue: new DeleteQueue(join(this.stateDir, "deletes")),
      masquerade: {
        add: async ({ id }) => {
          await this.onStep("masquerade");
          this.masqueraded.add(id);
        },
        remove: async (id) => void this.masqueraded.delete(id),
        verify: async ({ id }) => (this.masqueraded.has(id) ? [] : [`${id} is not masqueraded`]),
      },
      kernel: this.kernel,
      host: { handle: { device: 4n, inode: 1n }, link: async (ref) => this.#link(ref) },
      intent: () => ({ networks: this.networks }),
      health: async () => this.health,
      epoch: "one",
      log,
      ipam: this.ipam,
      onEvent: (type, attachment) => this.events.push(`${type} ${attachment.id}`),
      ...options,
    });
  }

  async started(options: Partial<AttachServiceOptions> = {}): Promise<AttachService> {
    const service = this.service(options);
    await service.recover();
    return service;
  }

  dispose(): void {
    rmSync(this.stateDir, { recursive: true, force: true });
  }

  #link(ref: LinkRef): Link | null {
    if ("name" in ref) return { name: ref.name } as Link;
    const port = [...this.ports.values()].find(({ made }) => made.hostIfindex === ref.ifindex);
    return port === undefined ? null : ({ name: port.made.hostInterface } as Link);
  }

  #find(handle: NetnsHandle): FakeNetns {
    for (const netns of this.namespaces.values()) if (netns.inode === handle.inode) return netns;
    throw kernelError("ENOENT", 2, "namespace");
  }

  #namespace(netns: FakeNetns): Namespace {
    this.openNamespaces++;
    const step = (name: string) => this.onStep(name);
    const parts: Partial<Namespace> = {
      links: async () => netns.links as unknown as readonly Link[],
      addresses: async () => netns.addresses,
      routes: async () => netns.routes.map((route) => ({ ...route, family: 4 as const, protocol: 4 })),
      addAddress: async (spec) => {
        await step("address");
        const family = spec.address.includes(":") ? 6 : 4;
        netns.addresses.push({
          ...spec,
          family,
          scope: 0,
          flags: flagsOf(family, spec.noDad),
          protocol: spec.protocol ?? 0,
        });
      },
      addRoute: async (spec) => {
        await step("route");
        if (netns.routes.some((route) => route.destination === spec.destination))
          throw kernelError("EEXIST", 17, "route");
        netns.routes.push(spec);
      },
      writeSysctl: async (path, value) => void netns.sysctls.set(path, value),
      transmit: async (_ifindex, frames) => {
        await step("announce");
        netns.frames.push(...frames);
      },
      close: async () => void this.openNamespaces--,
    };
    return parts as Namespace;
  }

  #logger() {
    const at = (level: string) => (fields: object, message: string) => void this.log.push({ level, fields, message });
    return { debug: at("debug"), info: at("info"), warn: at("warn"), error: at("error") };
  }
}

/** IFA_F_NODAD; IFA_F_TENTATIVE until a test says otherwise */
function flagsOf(family: 4 | 6, noDad = false): number {
  return noDad ? 0x02 : family === 6 ? 0x40 : 0;
}

function leaseKey(env: Readonly<Record<string, string>>, stdin: string): string {
  return `${JSON.parse(stdin).name} ${env.CNI_CONTAINERID}/${env.CNI_IFNAME}`;
}

function remove<T>(list: T[], which: (item: T) => boolean): void {
  for (let i = list.length - 1; i >= 0; i--) if (which(list[i] as T)) list.splice(i, 1);
}

export function vlanNetwork(name: string, vlan: number): Network {
  return {
    name,
    clusterNetwork: "oob",
    type: "L2VlanNetwork",
    vlan,
    trunk: VlanSet.empty,
    portIsolation: false,
    fdbLimit: 7,
    place: { file: "test.yaml", line: 1, column: 1 },
  };
}

export interface CniInput {
  readonly command: string;
  readonly conf?: object | string;
  readonly containerId?: string;
  readonly ifname?: string;
  readonly netns?: string;
  readonly env?: Readonly<Record<string, string>>;
}

/** The steps of an ADD with addresses at which FakeHost.onStep can make it fail, in order. */
export const ADD_STEPS = [
  "write-pending",
  "make",
  "enter",
  "ipam-add",
  "ipam-added",
  "ipam-confirmed",
  "address",
  "route",
  "write-ready",
] as const;

export const baseConf = { cniVersion: "1.0.0", name: "net", type: "portwright", bridge: "oob-br", vlan: 100 } as const;

export function cniRequest(input: CniInput): { env: Record<string, string>; stdin: string } {
  const conf = input.conf ?? baseConf;
  const all: Record<string, string> = {
    CNI_COMMAND: input.command,
    CNI_CONTAINERID: input.containerId ?? "c1",
    CNI_IFNAME: input.ifname ?? "eth0",
    CNI_NETNS: input.netns ?? "/ns/a",
    CNI_PATH: "/usr/lib/cni",
    ...input.env,
  };
  return { env: all, stdin: typeof conf === "string" ? conf : JSON.stringify(conf) };
}

export async function cni(service: AttachService, input: CniInput): Promise<CniReply & { json: CniJson }> {
  const reply = await service.cni(cniRequest(input));
  return { ...reply, json: reply.stdout === "" ? {} : JSON.parse(reply.stdout) };
}

// biome-ignore lint/suspicious/noExplicitAny: what a plugin prints, looked at by its tests
export type CniJson = any;
