/** NICs that enter and leave bonds. The kernel is asked at the moment of the deed: a plan may be older than a cable. */
import { PortwrightError } from "../errors.ts";
import type { Link, LinkRef, Namespace } from "../kernel/kernel.ts";
import { isWorking } from "../links/bond.ts";
import type { Step } from "../model/plan.ts";

/** A member that was taken in just now needs a look of the monitor before it counts. */
const SUCCESSOR_WAIT_MS = 1000;
const SUCCESSOR_POLL_MS = 50;

export async function enslave(
  step: Extract<Step, { op: "enslave" }>,
  nic: LinkRef,
  namespace: Namespace,
): Promise<void> {
  const bond = await bondOf(step.bond, namespace);
  const link = await namespace.link(nic);
  if (link === null) throw new Error(`NIC ${step.name} is not there`);
  if (link.master === bond.ifindex) return;
  // bond_enslave() refuses a device that is up, and brings it up itself.
  if (link.up) await namespace.changeLink(nic, { up: false });
  try {
    await namespace.changeLink(nic, { master: bond.ifindex });
  } catch (error) {
    if (link.up) await namespace.changeLink(nic, { up: true }).catch(() => {});
    throw error;
  }
}

export async function release(
  step: Extract<Step, { op: "release" }>,
  nic: LinkRef,
  namespace: Namespace,
): Promise<void> {
  const link = await namespace.link(nic);
  const bond = await namespace.link({ name: step.bond });
  if (link !== null && bond !== null && link.master === bond.ifindex) {
    if (step.needsSuccessor) await awaitSuccessor(link, bond, namespace);
    await namespace.changeLink(nic, { master: 0 });
    // The kernel closes what it lets go.
    if (step.up) await namespace.changeLink(nic, { up: true });
  }
}

async function awaitSuccessor(leaving: Link, bond: Link, namespace: Namespace): Promise<void> {
  const end = performance.now() + SUCCESSOR_WAIT_MS;
  for (;;) {
    const links = await namespace.links();
    const carries = (link: Link): boolean => isWorking(link, bond);
    if (links.some((link) => link.ifindex !== leaving.ifindex && carries(link))) return;
    if (!links.some((link) => link.ifindex === leaving.ifindex && carries(link))) return;
    if (performance.now() > end) break;
    await new Promise((resolve) => setTimeout(resolve, SUCCESSOR_POLL_MS));
  }
  const message = `${leaving.name} stays in ${bond.name}: no other member carries traffic`;
  throw new PortwrightError("MEMBER_KEPT", message);
}

async function bondOf(name: string, namespace: Namespace): Promise<Link> {
  const bond = await namespace.link({ name });
  if (bond === null) throw new Error(`bond ${name} is not there`);
  return bond;
}
