// Attaching and detaching, many times: nothing grows, nothing stays.
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { until } from "../support/until.ts";
import { OOB, staticIpam, TestHost } from "../support/test-host.ts";

interface Remains {
  readonly links: readonly string[];
  readonly pins: number;
  readonly records: number;
  readonly deletes: number;
  readonly descriptors: number;
  readonly threads: number;
}

async function remains(h: TestHost): Promise<Remains> {
  const list = async (path: string): Promise<string[]> => await readdir(path);
  const links = await h.host.namespace.links();
  return {
    links: links.map(({ name }) => name).toSorted(),
    pins: (await list(join(h.directory, "bpf/v2/links"))).length,
    records: (await list(join(h.directory, "state/attachments"))).length,
    deletes: (await list(join(h.directory, "state/deletes"))).length,
    descriptors: (await list(`/proc/${h.daemon.pid}/fd`)).length,
    threads: (await list(`/proc/${h.daemon.pid}/task`)).length,
  };
}

/** Threads that delete links, each with a socket that it opens at its first work: of those that go together one does it. */
const REAPERS = 8;

test.serial("200 attach and detach cycles leave no link, pin, record, descriptor or thread", async (t) => {
  t.timeout(120_000);
  const h = await TestHost.start(t, { intent: OOB() });
  const pods = await Promise.all([0, 1, 2, 3].map((n) => h.lab.host(`pod${n}`)));
  const cycle = async (n: number): Promise<void> => {
    const pod = pods[n];
    if (!pod) throw new Error(`no pod ${n}`);
    const ipam = staticIpam(`10.100.0.${n + 10}/24`);
    const added = await h.add(`pod${n}`, { vlan: 100 + n, ...ipam }, { pod });
    await h.del(added);
    // DEL answers when the interface is gone, not before.
    t.is(await pod.namespace.link({ name: "eth0" }), null);
  };
  // Warm up: threads that delete links are kept, eight at most, and as many deletions at once start them all.
  const crowd = await Promise.all(Array.from({ length: 16 }, (_, n) => h.add(`crowd${n}`, { vlan: 100 })));
  await Promise.all(crowd.map((pod) => h.del(pod)));
  await Promise.all([0, 1, 2, 3].map(cycle));
  await sleep(1000);
  const before = await remains(h);
  for (let i = 0; i < 50; i++) await Promise.all([0, 1, 2, 3].map(cycle));
  // What ends behind an answer, such as a connection, ends a moment after it.
  const most = before.descriptors + REAPERS;
  await until(async () => (await remains(h)).descriptors <= most, 10_000).catch(() => {});
  await sleep(1000);
  const { descriptors, threads, ...objects } = await remains(h);
  t.deepEqual(objects, { links: before.links, pins: before.pins, records: before.records, deletes: before.deletes });
  t.true(descriptors <= most, `${before.descriptors} descriptors became ${descriptors}`);
  t.true(threads <= before.threads, `${before.threads} threads became ${threads}`);
});

test.serial("DEL works twice, without a namespace, and for what was never added", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const pod = await h.add("pod", { vlan: 100 });
  await h.del(pod);
  await h.del(pod);
  await h.del({ ...pod, name: "never", call: { ...pod.call, containerId: "never" } });

  const gone = await h.add("gone", { vlan: 100 });
  await h.del({ ...gone, call: { ...gone.call, netnsPath: "" } });
  t.is(await gone.host.namespace.link({ name: "eth0" }), null);
  t.deepEqual(
    (await h.ports()).filter(({ role }) => role === "workload"),
    [],
  );
});

test.serial("DEL of one container's eth0 leaves another container's eth0 alone", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const pod = await h.add("mine", { vlan: 100 });
  await h.del({ ...pod, call: { ...pod.call, containerId: "stranger" } });
  t.not(await pod.host.namespace.link({ name: "eth0" }), null);
});

test.serial("a NIC and a foreign link keep what is theirs when the daemon ends", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  await h.host.namespace.createLink({ kind: "veth", name: "foreign", peer: { name: "foreign-peer" } });
  const before = await h.host.namespace.link({ name: "foreign" });
  await h.restart();
  t.deepEqual(await h.host.namespace.link({ name: "foreign" }), before);
});
