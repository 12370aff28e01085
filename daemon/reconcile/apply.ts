/** Carries a plan out, step by step. The one place where the plan's words become calls to the kernel. */
import type { WorkloadEnds } from "../attach/workload-ends.ts";
import type { Datapath } from "../datapath/datapath.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { LinkRef, Namespace } from "../kernel/kernel.ts";
import { linkCreate, peerSettings } from "../links/link.ts";
import { ADDRESS_MARK } from "../model/addresses.ts";
import type { Plan, Step } from "../model/plan.ts";
import { familyOf } from "../model/ip.ts";
import { AddressKeeper } from "./keep-addresses.ts";
import { enslave, release } from "./members.ts";

export interface StepFailure {
  readonly step: Step;
  readonly error: unknown;
}

const TOGETHER: ReadonlySet<Step["op"]> = new Set(["set-port", "set-workload-mtu"]);

interface Hands {
  readonly namespace: Namespace;
  readonly datapath: Datapath;
  readonly ends: WorkloadEnds;
  readonly keeper: AddressKeeper;
}

/** Runs every step; one that fails does not stop those that do not need it. Returns what failed. */
export async function apply(
  plan: Plan,
  namespace: Namespace,
  datapath: Datapath,
  ends: WorkloadEnds,
): Promise<readonly StepFailure[]> {
  const failures: StepFailure[] = [];
  const keeper = new AddressKeeper(namespace);
  const run = async (step: Step): Promise<void> => {
    try {
      await perform(step, { namespace, datapath, ends, keeper });
    } catch (error) {
      failures.push({ step, error });
    }
  };
  // Ports do not depend on one another, nor do container ends: hundreds of them are set in one go. Links are ordered
  // (MTU, existence).
  const running: Promise<void>[] = [];
  let before: Step["op"] | null = null;
  for (const step of plan.steps) {
    if (step.op !== before || !TOGETHER.has(step.op)) await Promise.all(running.splice(0));
    before = step.op;
    running.push(run(step));
  }
  await Promise.all(running);
  return failures;
}

async function perform(step: Step, { namespace, datapath, ends, keeper }: Hands): Promise<void> {
  switch (step.op) {
    case "create-link": {
      const { lower } = step.link;
      const on = lower === undefined ? {} : { link: await indexOf({ name: lower, ifindex: 0 }, namespace) };
      const { peerIfindex } = await namespace.createLink({ ...linkCreate(step.link), ...on });
      const peer = peerSettings(step.link);
      if (peer) await namespace.changeLink({ ifindex: peerIfindex }, peer);
      return;
    }
    case "change-link":
      await keeper.before(step.name, step.after);
      await namespace.changeLink(refOf(step), step.after);
      await keeper.after(step.name, step.after);
      return;
    case "enslave":
      await enslave(step, refOf(step), namespace);
      return;
    case "release":
      await release(step, refOf(step), namespace);
      return;
    case "delete-link":
      await namespace.deleteLink(refOf(step));
      return;
    case "set-port": {
      const link = await namespace.link({ name: step.port.linkName });
      if (!link) throw new Error(`link ${step.port.linkName} is not there`);
      await datapath.setPort(link.ifindex, step.port.config);
      if (step.port.owner !== "") ends.noteIndex(step.port.owner, link.ifindex);
      return;
    }
    case "add-address": {
      const { owner: _owner, ...address } = step.address;
      const ifindex = await indexOf(step, namespace);
      await namespace.addAddress({ ifindex, ...address, protocol: ADDRESS_MARK }).catch(unless("EEXIST"));
      return;
    }
    case "remove-address": {
      const { address, prefixLength } = step.address;
      const ifindex = await indexOf(step, namespace);
      if (familyOf(address) === 4) await keepSecondaries(step.name, namespace);
      await namespace.removeAddress({ ifindex, address, prefixLength }).catch(unless("EADDRNOTAVAIL"));
      return;
    }
    case "set-workload-mtu":
      await ends.setMtu(step.attachment, step.after);
      return;
    case "remove-port":
      try {
        const { ifindex, config } = step.before;
        const made = ifindex > 0 ? ifindex : (await namespace.link({ name: step.linkName }))?.ifindex;
        if (made !== undefined) await datapath.removePort(made, config.datapath);
      } catch (error) {
        if (!isKernelError(error, "ENODEV")) throw error;
      }
      return;
  }
}

async function indexOf(
  step: { readonly ifindex: number; readonly name: string },
  namespace: Namespace,
): Promise<number> {
  if (step.ifindex > 0) return step.ifindex;
  const link = await namespace.link({ name: step.name });
  if (!link) throw new Error(`link ${step.name} is not there`);
  return link.ifindex;
}

/** With the first address of an IPv4 subnet the kernel takes the others of it, too, unless it is told not to (__inet_del_ifa). */
async function keepSecondaries(name: string, namespace: Namespace): Promise<void> {
  const path = `net/ipv4/conf/${name}/promote_secondaries`;
  if ((await namespace.readSysctl(path)) === "0") await namespace.writeSysctl(path, "1");
}

/** Somebody was faster, with the same result. */
function unless(code: string): (error: unknown) => void {
  return (error) => {
    if (!isKernelError(error, code)) throw error;
  };
}

/** Index 0: an earlier step made the link, so that only its name is known. */
function refOf({ ifindex, name }: { readonly ifindex: number; readonly name: string }): LinkRef {
  return ifindex > 0 ? { ifindex } : { name };
}
