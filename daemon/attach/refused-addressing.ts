/**
 * IPAM that refuses an ADD in words of its own has given nothing, and is told to delete all the same (CNI SPEC 1.1.0,
 * section 4). If it refuses that, too, as with a configuration that it cannot read, nothing can be owed to it: a record
 * that waited for it would wait for ever, and keep the container's interface from being attached.
 */
import type { Addressing } from "./addressing.ts";
import type { AttachLog } from "./attach-log.ts";
import { IpamError } from "./ipam.ts";

export function refusable(source: Addressing, log: AttachLog): Addressing {
  let refused = false;
  const note = (error: unknown): never => {
    refused = error instanceof IpamError;
    throw error;
  };
  return {
    needsPort: source.needsPort,
    obtain: async () => {
      const { result, confirmed } = await source.obtain().catch(note);
      return { result, confirmed: confirmed.catch(note) };
    },
    release: async () => {
      try {
        await source.release();
      } catch (error) {
        if (!refused || !(error instanceof IpamError)) throw error;
        log.debug({ error }, "IPAM gave no address, and refuses to take one back");
      }
    },
  };
}
