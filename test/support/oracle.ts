/**
 * Plays a row of test/peers/cni-table.ts against a plugin and writes down what came of it, with names and MACs that
 * nobody chose made equal. Each row has a pod of its own; the stock plugin has a bridge a row.
 */
import { mkdir, readdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Lab, LabHost } from "../../daemon/demo/lab.ts";
import { removeNetns } from "../../daemon/demo/lab.ts";
import { runProgram } from "../../daemon/demo/run-program.ts";
import type { Kernel, Link } from "../../daemon/kernel/kernel.ts";
import { until } from "./until.ts";
import { DEFAULT_STEPS, type OracleRow, type Step } from "../peers/cni-table.ts";

export interface OracleSide {
  readonly kernel: Kernel;
  readonly lab: Lab;
  readonly host: LabHost;
  readonly directory: string;
  readonly command: readonly [string, ...string[]];
  readonly bridge: (row: number) => string;
}

/** What came of a call: exit code, what was on stdout, what is there then. */
export type Found = Readonly<Record<string, unknown>>;
/** by "<number of the step> <step>" */
export type Outcome = ReadonlyMap<string, Found>;

const PATIENCE_MS = 30_000;
const HOST_END = /^(veth|pw)/;
const RT_TABLE_LOCAL = 255;
const RTPROT_KERNEL = 2;

export async function play(side: OracleSide, row: OracleRow, index: number): Promise<Outcome> {
  const player = new Player(side, row, index);
  await player.prepare();
  try {
    for (const [i, step] of (row.steps ?? DEFAULT_STEPS).entries()) await player.step(i, step);
  } finally {
    await player.leave();
  }
  return player.outcome;
}

class Player {
  readonly outcome = new Map<string, Found>();
  readonly #side: OracleSide;
  readonly #row: OracleRow;
  readonly #bridge: string;
  readonly #data: string;
  #pod: LabHost | null = null;
  readonly #name: string;
  #path: string;
  #added: { readonly interfaces?: readonly { readonly name: string }[] } | null = null;

  constructor(side: OracleSide, row: OracleRow, index: number) {
    this.#side = side;
    this.#row = row;
    this.#bridge = side.bridge(index);
    this.#data = join(side.directory, "ipam", `${index}`);
    this.#name = `o${index}`;
    this.#path = join(side.directory, "nowhere", this.#name);
  }

  async prepare(): Promise<void> {
    const { lab, host, directory } = this.#side;
    switch (this.#row.pod ?? "plain") {
      case "nothing there":
        return;
      case "a file":
        await mkdir(join(directory, "nowhere"), { recursive: true });
        return await writeFile(this.#path, "");
      case "the host":
        this.#path = host.path;
        return;
      case "plain":
      case "has eth0":
        this.#pod = await lab.host(this.#name);
        this.#path = this.#pod.path;
        if (this.#row.pod === "has eth0")
          await this.#pod.namespace.createLink({ kind: "veth", name: "eth0", peer: { name: "other" } });
    }
  }

  async leave(): Promise<void> {
    await this.#pod?.namespace.close();
    if (this.#pod !== null) await removeNetns(this.#side.kernel, this.#path);
  }

  async step(index: number, step: Step): Promise<void> {
    const link = { name: this.#ifname };
    switch (step) {
      case "the namespace goes":
        await this.#pod?.namespace.close();
        this.#pod?.handle.close();
        await removeNetns(this.#side.kernel, this.#path);
        this.#pod = null;
        return await this.#untilGone();
      case "the link goes":
        await this.#pod?.namespace.deleteLink(link);
        return;
      case "the link goes down":
        if (await this.#pod?.namespace.link(link)) await this.#pod?.namespace.changeLink(link, { up: false });
        return;
      case "the addresses go":
        for (const address of (await this.#pod?.namespace.addresses()) ?? [])
          if (!address.address.startsWith("fe80")) await this.#pod?.namespace.removeAddress(address);
        return;
      case "the routes go":
        for (const route of (await this.#pod?.namespace.routes()) ?? [])
          if (route.protocol !== RTPROT_KERNEL && route.table !== RT_TABLE_LOCAL)
            await this.#pod?.namespace.removeRoute(route);
        return;
      default:
        await this.#call(`${index} ${step}`, step);
    }
  }

  /** The kernel takes a namespace apart some time after its last user (cleanup_net); the stock plugin leaves it at that. */
  async #untilGone(): Promise<void> {
    const name = this.#hostEnd;
    if (name === undefined) return;
    await until(async () => (await this.#side.host.namespace.link({ name })) === null);
  }

  get #hostEnd(): string | undefined {
    return this.#added?.interfaces?.find(({ name }) => HOST_END.test(name))?.name;
  }

  get #ifname(): string {
    return this.#row.env?.CNI_IFNAME ?? "eth0";
  }

  async #call(at: string, step: "ADD" | "CHECK" | "DEL" | "DEL without netns"): Promise<void> {
    const [verb = ""] = step.split(" ");
    const found: Record<string, unknown> = {};
    this.outcome.set(at, found);
    const told = (what: string, value: unknown) => {
      found[what] = value;
    };
    const [program, ...args] = this.#side.command;
    const env = this.#env(verb, step === "DEL without netns");
    const options = { env, input: this.#stdin(verb), timeoutMs: PATIENCE_MS };
    const { ended, stdout } = await runProgram(program, args, options);
    told("exit", ended);
    if (ended === 0 && verb === "ADD") {
      this.#added = JSON.parse(stdout);
      told("result", this.#normal(JSON.parse(stdout)));
    } else if (ended === 0) told("stdout", stdout);
    else told("code", codeOf(stdout));
    await this.#look(told);
  }

  #env(verb: string, withoutNetns: boolean): Record<string, string> {
    const all = {
      PATH: process.env.PATH ?? "",
      CNI_COMMAND: verb,
      CNI_CONTAINERID: this.#name,
      CNI_NETNS: withoutNetns ? "" : this.#path,
      CNI_IFNAME: "eth0",
      CNI_PATH: "/usr/lib/cni",
      ...this.#row.env,
    };
    const given = Object.entries(all).filter((pair): pair is [string, string] => pair[1] !== null);
    return Object.fromEntries(given);
  }

  #stdin(verb: string): string {
    const { conf = {} } = this.#row;
    if (typeof conf === "string") return conf;
    const least = { cniVersion: "1.0.0", name: `net-${this.#name}`, type: "bridge", bridge: "$BRIDGE" };
    const prevResult = verb === "ADD" || this.#added === null ? {} : { prevResult: this.#added };
    const text = JSON.stringify({ ...least, ...conf, ...prevResult });
    return text.replaceAll("$BRIDGE", this.#bridge).replaceAll("$DATA", this.#data).replaceAll("$NETNS", this.#path);
  }

  /** what is there now: in the pod, of the port, of IPAM */
  async #look(told: (what: string, value: unknown) => void): Promise<void> {
    const { host } = this.#side;
    const hostEnd = this.#hostEnd;
    if (hostEnd !== undefined) told("host end", (await host.namespace.link({ name: hostEnd })) !== null);
    told("leases", (await readdir(join(this.#data, `net-${this.#name}`)).catch(() => [])).filter(isLease).length);
    if (this.#pod === null) return;
    const { namespace } = this.#pod;
    const link = (await namespace.links()).find(({ name }) => name === this.#ifname);
    told("link", link === undefined ? null : this.#normalLink(link));
    const addresses = await namespace.addresses();
    const named = addresses.filter(({ address }) => !/^(fe80|127\.|::1$)/.test(address));
    told("addresses", named.map(({ address, prefixLength }) => `${address}/${prefixLength}`).toSorted());
    const routes = (await namespace.routes()).filter(
      ({ protocol, table }) => protocol !== RTPROT_KERNEL && table !== RT_TABLE_LOCAL,
    );
    told("routes", routes.map((r) => `${r.destination}/${r.prefixLength} via ${r.gateway ?? "-"}`).toSorted());
  }

  #normalLink({ up, mtu, mac }: Link): object {
    return { up, mtu, mac: this.#normalMac(mac) };
  }

  #normalMac(mac: string): string {
    return JSON.stringify([this.#row.conf, this.#row.env]).toLowerCase().includes(mac) ? mac : "MAC";
  }

  /** The MTU of an interface is in results from 1.1.0 on; Debian's plugins know 1.0.0. */
  #normal(result: { interfaces?: { name: string; mac?: string; sandbox?: string }[] }): unknown {
    const interfaces = result.interfaces?.map((one) => ({
      ...one,
      mtu: undefined,
      name: one.name === this.#bridge ? "BRIDGE" : HOST_END.test(one.name) ? "HOST" : one.name,
      ...(one.mac === undefined ? {} : { mac: this.#normalMac(one.mac) }),
      ...(one.sandbox === this.#path ? { sandbox: "NETNS" } : {}),
    }));
    return sorted({ ...result, ...(interfaces === undefined ? {} : { interfaces }) });
  }
}

function codeOf(stdout: string): unknown {
  if (stdout === "") return "nothing on stdout";
  return (JSON.parse(stdout) as { code?: unknown }).code;
}

/** host-local keeps a file an address beside its lock and the last one given. */
function isLease(name: string): boolean {
  return /^[0-9a-f.:]+$/.test(name);
}

/** Members in order, so that the text tells what differs and nothing else. */
function sorted(value: unknown): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map(sorted);
  const entries = Object.entries(value).filter(([, inner]) => inner !== undefined);
  return Object.fromEntries(
    entries.toSorted(([a], [b]) => (a < b ? -1 : 1)).map(([key, inner]) => [key, sorted(inner)]),
  );
}
