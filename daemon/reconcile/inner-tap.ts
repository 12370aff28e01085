/**
 * A tap in the workload's namespace, for a VM that runs there, and the veth behind it: joined by two programs that hand
 * each frame over as it is. They hang on clsact, which holds them as long as the links are there.
 */
import { PortwrightError } from "../errors.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { Namespace } from "../kernel/kernel.ts";
import type { TapOptions } from "../model/attachment.ts";

export interface InnerTap {
  readonly name: string;
  readonly alias: string;
  readonly mac: string;
  readonly mtu: number;
  readonly up: boolean;
  /** index of the veth's end */
  readonly innerEnd: number;
  readonly tap: TapOptions;
  readonly netnsPath: string;
}

/** Returns its index. Nothing is left of it if that fails; the veth is the caller's. */
export async function makeInnerTap(inside: Namespace, wireObject: string, wanted: InnerTap): Promise<number> {
  const { name, alias, mac, mtu, innerEnd, netnsPath } = wanted;
  const { queues, owner, group } = wanted.tap;
  const tap = { multiQueue: queues > 1, owner, group };
  const quiet = { noArp: true, noIpv6LinkLocal: true } as const;
  let ifindex: number;
  try {
    ({ ifindex } = await inside.createLink({ kind: "tun", name, alias, mac, mtu, tap, ...quiet }));
  } catch (error) {
    if (!isKernelError(error, "EEXIST")) throw error;
    throw new PortwrightError("INTERFACE_EXISTS", `interface ${name} exists already in ${netnsPath}`, { cause: error });
  }
  try {
    await Promise.all([wire(inside, wireObject, ifindex, innerEnd), wire(inside, wireObject, innerEnd, ifindex)]);
    // Last: nothing that is sent before reaches the stack of the namespace.
    await inside.changeLink({ ifindex: innerEnd }, { up: true, alias, ...quiet });
    await inside.changeLink({ ifindex }, { up: wanted.up });
    return ifindex;
  } catch (error) {
    await inside.deleteLink({ ifindex }).catch(() => {}); // the error that led here is the one to tell
    throw error;
  }
}

async function wire(inside: Namespace, objectFile: string, from: number, to: number): Promise<void> {
  const { programs, maps } = await inside.bpf.load(objectFile, { constants: { pw_wire_to: to } });
  try {
    const program = programs.get("wire");
    if (program === undefined) throw new TypeError(`${objectFile} has no program "wire"`);
    await inside.bpf.attachClsact(program, from);
  } finally {
    for (const object of [...programs.values(), ...maps.values()]) object.close();
  }
}
