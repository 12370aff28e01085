// Tests that need something of the kernel or the machine which not every one has: run where a probe finds it, else
// skipped with the reason in the title, where the runner's output shows it.
import test, { type Implementation } from "ava";

/** `test` or `test.serial`, and how it is skipped */
const WAYS = {
  concurrent: [test, test.skip],
  serial: [test.serial, test.serial.skip],
} as const;

/**
 * @param available what a probe of the feature said; never a guess by version
 * @param what completes "needs ...", e.g. "tcx (Linux 6.6)"
 */
export function needs(available: boolean, what: string, way: keyof typeof WAYS = "concurrent") {
  const [run, skip] = WAYS[way];
  return <Args extends unknown[]>(title: string, implementation: Implementation<Args>, ...args: Args): void => {
    if (available) run(title, implementation, ...args);
    else skip(`${title} [needs ${what}]`, implementation, ...args);
  };
}
