// Which events of the kernel call for a round, and which only tell of what we do ourselves.
import test from "ava";
import type { Link, NetlinkEvent } from "../../daemon/kernel/kernel.ts";
import type { Attachment } from "../../daemon/model/attachment.ts";
import type { Target } from "../../daemon/model/target.ts";
import { disturbs } from "../../daemon/reconcile/drift.ts";
import { attachment, intent, workloadLink } from "../peers/model-fixtures.ts";

const NOTHING: Target = { links: new Map(), ports: new Map(), addresses: new Map(), conditions: [] };
const pod = attachment("pod", "oob", { mode: "access", vlan: 100 });

function calls(event: NetlinkEvent, workloads: readonly Attachment[]): boolean {
  const portOf = (name: string) => workloads.find(({ hostInterface }) => hostInterface === name);
  const wanted = { target: NOTHING, intent: intent([]), portOf, isUplink: () => false };
  return disturbs(event, { ...wanted, indexOf: () => undefined, unfinished: false });
}
const seen = (of: Partial<Link>): NetlinkEvent => ({ type: "link", link: { ...workloadLink(7, pod), ...of } });
const gone: NetlinkEvent = { type: "link-gone", ifindex: 7, name: pod.hostInterface };

test("a workload's link that is down, or gone, calls for a round; one that is right does not", (t) => {
  t.false(calls(seen({}), [pod]));
  t.true(calls(seen({ up: false }), [pod]));
  t.true(calls(gone, [pod]));
  t.false(calls(gone, []), "it was to go");
});

test("a link that is being made is left to whoever makes it", (t) => {
  t.false(calls(seen({ up: false }), [{ ...pod, state: "pending" }]));
  t.false(calls(seen({ up: false, alias: "portwright unnamed" }), [pod]), "told late, when all was done");
});
