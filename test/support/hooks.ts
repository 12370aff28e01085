/** The ingress hook that the running kernel has, asked once: tests run on kernels with tcx (Linux 6.6) and without. */
import type { Bpf } from "../../daemon/kernel/bpf.ts";
import { isKernelError } from "../../daemon/kernel/kernel-error.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";

/** A query of an interface that cannot exist: ENODEV where tcx is known, EINVAL where it is not. */
async function askTcx(): Promise<boolean> {
  const kernel = nativeKernel();
  const handle = kernel.ownNetns();
  const namespace = await kernel.enter(handle);
  try {
    await namespace.bpf.queryTcx(0x7fffffff);
    return true;
  } catch (error) {
    if (isKernelError(error, "ENODEV")) return true;
    if (isKernelError(error, "EINVAL")) return false;
    throw error;
  } finally {
    await namespace.close();
    handle.close();
  }
}

export const HAS_TCX = await askTcx();

/** ids of the programs on a link's ingress hook that can be ours; one that settles hangs there twice */
export async function programsOn(bpf: Bpf, ifindex: number): Promise<number[]> {
  const links = HAS_TCX ? await bpf.queryTcx(ifindex) : [];
  const id = await bpf.queryClsact(ifindex);
  return [...links.map(({ programId }) => programId), ...(id === 0 ? [] : [id])];
}
