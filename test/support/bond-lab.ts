/** A host with NICs whose far ends are in a namespace that plays the switch; plans are carried out on it by the test. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import type { Datapath } from "../../daemon/datapath/datapath.ts";
import { parseIntent } from "../../daemon/intent/intent.ts";
import type { Link } from "../../daemon/kernel/kernel.ts";
import { type Compiled, compile } from "../../daemon/model/compile.ts";
import { diff } from "../../daemon/model/diff.ts";
import { EBPF, NO_ENDS } from "../peers/model-fixtures.ts";
import type { Plan } from "../../daemon/model/plan.ts";
import type { Intent } from "../../daemon/model/resources.ts";
import { apply, type StepFailure } from "../../daemon/reconcile/apply.ts";
import { type Lab, makeLab } from "../netns/kernel-lab.ts";

const run = promisify(execFile);

export interface BondLab {
  readonly host: Lab;
  readonly wire: Lab;
}

/** NICs n0, n1, … of the host; the ends at the switch are called w0, w1, … and are up. */
export async function makeBondLab(t: ExecutionContext, nics: number): Promise<BondLab> {
  const host = await makeLab(t);
  const wire = await makeLab(t);
  const lab = { host, wire };
  for (let i = 0; i < nics; i++) await addNic(lab, i);
  return lab;
}

export async function addNic({ host, wire }: BondLab, index: number): Promise<void> {
  const peer = { name: `w${index}`, netns: wire.handle };
  await host.ns.createLink({ name: `n${index}`, kind: "veth", mac: nicMac(index), noIpv6LinkLocal: true, peer });
  await wire.ns.changeLink({ name: `w${index}` }, { up: true });
}

export function nicMac(index: number): string {
  return `02:00:5e:20:00:0${index + 1}`;
}

/** `options`: of the bond, as YAML in braces would have them */
export function bondIntent(nics: readonly string[], options: Readonly<Record<string, unknown>> = {}, mtu = 0): Intent {
  const uplink = { nics, linkAttributes: { mtu }, bondOptions: options };
  const text = `apiVersion: network.harvesterhci.io/v1beta1
kind: ClusterNetwork
metadata: {name: oob}
---
apiVersion: network.harvesterhci.io/v1beta1
kind: VlanConfig
metadata: {name: v}
spec: {clusterNetwork: oob, uplink: ${JSON.stringify(uplink)}}
`;
  return parseIntent(text, "t.yaml", { nodeName: "n", nodeLabels: {} });
}

/** Links only: whether ports are right is the datapath's affair. */
export async function planFor(lab: BondLab, intent: Intent): Promise<Plan & Pick<Compiled, "target">> {
  const { ns } = lab.host;
  const world = { links: await ns.links(), addresses: await ns.addresses(), ports: [] };
  const { target } = compile({
    intent,
    attachments: [],
    ...world,
    bonding: true,
    switching: EBPF,
    switchIds: new Map(),
    leases: new Map(),
  });
  return { target, steps: diff(target, world).steps.filter((step) => !step.op.endsWith("port")) };
}

export async function carryOut(lab: BondLab, plan: Plan): Promise<readonly StepFailure[]> {
  return await apply(plan, lab.host.ns, {} as Datapath, NO_ENDS);
}

/** Throws the first failure. */
export async function reach(lab: BondLab, intent: Intent): Promise<Plan> {
  const plan = await planFor(lab, intent);
  const [failure] = await carryOut(lab, plan);
  if (failure) throw failure.error;
  return plan;
}

export async function linkOf(lab: Lab, name: string): Promise<Link> {
  const link = await lab.ns.link({ name });
  if (link === null) throw new Error(`${name} is not there`);
  return link;
}

export async function membersOf(lab: BondLab): Promise<readonly string[]> {
  const { ifindex } = await linkOf(lab.host, "oob-bo");
  return (await lab.host.ns.links()).filter(({ master }) => master === ifindex).map(({ name }) => name);
}

/** iproute2 in a namespace of the lab. */
export async function ipIn(lab: Lab, ...args: string[]): Promise<string> {
  const { stdout } = await run("ip", ["-n", lab.name, ...args]);
  return stdout;
}
