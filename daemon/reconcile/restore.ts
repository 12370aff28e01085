/** Puts settings of links back that a change had overwritten and that no intent names. */
import type { Namespace } from "../kernel/kernel.ts";
import type { Log } from "../log.ts";
import { restorations, type SavedLink } from "../model/saved-links.ts";

/** One that fails does not stop the others: the way back has to go on. */
export async function restore(saved: readonly SavedLink[], namespace: Namespace, log: Log): Promise<void> {
  if (saved.length === 0) return;
  for (const { ifindex, name, settings } of restorations(saved, await namespace.links())) {
    try {
      await namespace.changeLink({ ifindex }, settings);
      log.info({ device: name, settings }, "settings put back");
    } catch (error) {
      log.error({ device: name, settings, err: error }, "settings cannot be put back");
    }
  }
}
