/** A namespace with NICs, the far ends of them in another one that plays the wire, and a directory; removed with the test. */
import { mkdtemp, rm } from "node:fs/promises";
import { join } from "node:path";
import type { ExecutionContext } from "ava";
import { Lab, type LabHost } from "../../daemon/demo/lab.ts";
import type { Kernel } from "../../daemon/kernel/kernel.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { removePinRoot } from "../../daemon/pin-root.ts";

export interface TestNic {
  readonly name: string;
  readonly mtu?: number;
}

export interface WiredHost {
  readonly kernel: Kernel;
  readonly lab: Lab;
  readonly directory: string;
  readonly host: LabHost;
  /** has the far ends under the NICs' own names */
  readonly wire: LabHost;
}

let count = 0;

export async function wiredHost(t: ExecutionContext, nics: readonly TestNic[]): Promise<WiredHost> {
  const kernel = nativeKernel();
  const lab = new Lab(kernel, `pwth${process.pid}-${count++}`);
  const directory = await mkdtemp("/run/pw-test-");
  // Registered first, done last: whatever stands on it goes before.
  t.teardown(async () => {
    await lab.dispose();
    removePinRoot(kernel, join(directory, "bpf"));
    await rm(directory, { recursive: true, force: true });
  });
  const host = await lab.host("host");
  const wire = await lab.host("wire");
  for (const { name, mtu } of nics) {
    const size = mtu === undefined ? {} : { mtu };
    await lab.cable({ host, interface: name, ...size }, { host: wire, interface: name, ...size });
  }
  return { kernel, lab, directory, host, wire };
}
