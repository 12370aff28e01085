/** Private network namespaces for tests of the kernel door, and iproute2 as the second opinion. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import type { ExecutionContext } from "ava";
import type { NetnsHandle } from "../../daemon/kernel/kernel.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import type { NativeNamespace } from "../../daemon/kernel/native-namespace.ts";

const run = promisify(execFile);
let count = 0;

export interface Lab {
  readonly name: string;
  readonly path: string;
  readonly handle: NetnsHandle;
  readonly ns: NativeNamespace;
}

/** A fresh namespace, entered; closed and removed when the test ends, however it ends. */
export async function makeLab(t: ExecutionContext): Promise<Lab> {
  const kernel = nativeKernel();
  const name = `pwkt-${process.pid}-${count++}`;
  const path = `/run/netns/${name}`;
  await kernel.createNetns(path);
  t.teardown(() => kernel.removeNetns(path));
  const handle = kernel.openNetns(path);
  t.teardown(() => handle.close());
  const ns = await kernel.enter(handle);
  t.teardown(() => ns.close());
  return { name, path, handle, ns };
}

/** `ip -json -details` in the namespace. */
// biome-ignore lint/suspicious/noExplicitAny: the oracle's own shape
export async function ip(lab: Lab, ...args: string[]): Promise<any[]> {
  const { stdout } = await run("ip", ["-n", lab.name, "-json", "-details", ...args]);
  return JSON.parse(stdout || "[]");
}

/** Plain commands, without output. */
export async function ipDo(lab: Lab, ...args: string[]): Promise<void> {
  await run("ip", ["-n", lab.name, ...args]);
}
