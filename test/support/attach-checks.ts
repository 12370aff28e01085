/** What tests of attaching share: a fake host of their own, and the proof that nothing is left on it. */
import type { ExecutionContext } from "ava";
import { baseConf, FakeHost } from "./attach-fakes.ts";

export function host(t: ExecutionContext): FakeHost {
  const fake = new FakeHost();
  t.teardown(() => fake.dispose());
  fake.addNetns("/ns/a");
  return fake;
}

export function nothingLeft(
  t: ExecutionContext,
  fake: FakeHost,
  service: { list(): readonly unknown[] },
  what = "",
): void {
  t.deepEqual([...fake.ports.keys()], [], what);
  t.deepEqual([...fake.leases.keys()], [], what);
  t.deepEqual(service.list(), [], what);
  for (const netns of fake.namespaces.values())
    t.deepEqual([netns.links, netns.addresses, netns.routes], [[], [], []], what);
  t.deepEqual([fake.openHandles, fake.openNamespaces], [0, 0], what);
}

export const ipamConf = { ...baseConf, ipam: { type: "host-local" } };
