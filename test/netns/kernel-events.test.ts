import test from "ava";
import type { NetlinkEvent } from "../../daemon/kernel/kernel.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { ipDo, makeLab } from "./kernel-lab.ts";
import { until } from "../support/until.ts";

test("links and addresses are announced in the order in which they changed", async (t) => {
  const lab = await makeLab(t);
  const events: NetlinkEvent[] = [];
  const watch = await lab.ns.watch((batch) => events.push(...batch));
  await ipDo(lab, "link", "add", "v0", "type", "veth", "peer", "name", "v1");
  await ipDo(lab, "link", "set", "v0", "mtu", "1234");
  await ipDo(lab, "addr", "add", "192.0.2.1/24", "dev", "v0");
  await ipDo(lab, "addr", "del", "192.0.2.1/24", "dev", "v0");
  await ipDo(lab, "link", "del", "v0");
  const gone = (name: string) => events.findIndex((event) => event.type === "link-gone" && event.name === name);
  await until(() => gone("v0") >= 0 && gone("v1") >= 0);
  const mtu = events.findIndex((e) => e.type === "link" && e.link.name === "v0" && e.link.mtu === 1234);
  const added = events.findIndex((e) => e.type === "address" && e.address.address === "192.0.2.1" && !e.gone);
  const removed = events.findIndex((e) => e.type === "address" && e.address.address === "192.0.2.1" && e.gone);
  t.true(
    0 < mtu && mtu < added && added < removed && removed < gone("v0"),
    [mtu, added, removed, gone("v0")].join(", "),
  );
  await watch.close();
});

test("a port that leaves its bridge is a change of the link, not its end", async (t) => {
  const lab = await makeLab(t);
  const bridge = await lab.ns.createLink({ name: "br0", kind: "bridge" });
  const { ifindex } = await lab.ns.createLink({
    name: "v0",
    kind: "veth",
    master: bridge.ifindex,
    peer: { name: "v1" },
  });
  const events: NetlinkEvent[] = [];
  await lab.ns.watch((batch) => events.push(...batch));
  await lab.ns.changeLink({ ifindex }, { master: 0 });
  await lab.ns.changeLink({ ifindex }, { mtu: 1234 });
  await until(() => events.some((event) => event.type === "link" && event.link.mtu === 1234));
  t.true(events.some((event) => event.type === "link" && event.link.ifindex === ifindex && event.link.master === 0));
  t.false(events.some((event) => event.type === "link-gone"));
});

test("a listener that is closed hears nothing more, and another goes on", async (t) => {
  const lab = await makeLab(t);
  let first = 0;
  const names: string[] = [];
  const watch = await lab.ns.watch(() => first++);
  await lab.ns.watch((batch) => {
    for (const event of batch) if (event.type === "link") names.push(event.link.name);
  });
  await lab.ns.createLink({ name: "br0", kind: "bridge" });
  await until(() => first > 0 && names.includes("br0"));
  const closing = watch.close();
  const heard = first;
  await lab.ns.createLink({ name: "br1", kind: "bridge" });
  await closing;
  await until(() => names.includes("br1"));
  t.is(first, heard);
  await watch.close();
});

test("events are the namespace's own", async (t) => {
  const [a, b] = [await makeLab(t), await makeLab(t)];
  const names = new Set<string>();
  await a.ns.watch((batch) => {
    for (const event of batch) if (event.type === "link") names.add(event.link.name);
  });
  await b.ns.createLink({ name: "there", kind: "bridge" });
  await a.ns.createLink({ name: "here", kind: "bridge" });
  await until(() => names.has("here"));
  t.deepEqual([...names], ["here"]);
});

test("events lost by a full buffer are reported as an overrun, and later ones arrive again", async (t) => {
  const lab = await makeLab(t);
  const other = await nativeKernel().enter(lab.handle);
  t.teardown(() => other.close());
  const events: NetlinkEvent[] = [];
  // 16 KiB hold a handful of link messages. At most one batch is under way to JavaScript, which is kept busy here.
  await lab.ns.watch((batch) => events.push(...batch), 16 * 1024);
  const { ifindex } = await other.createLink({ name: "br0", kind: "bridge" });
  const burst = Array.from({ length: 400 }, (_, i) => other.changeLink({ ifindex }, { mtu: 10_000 + i }));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 500);
  await Promise.all(burst);
  await until(() => events.some((event) => event.type === "overrun"));
  const links = events.filter((event) => event.type === "link").length;
  t.true(links < 400, `${links} of 400 arrived`);
  await other.changeLink({ ifindex }, { mtu: 1234 });
  await until(() => events.some((event) => event.type === "link" && event.link.mtu === 1234));
});

test("a big buffer holds what comes while JavaScript is busy: nothing is lost", async (t) => {
  const lab = await makeLab(t);
  const other = await nativeKernel().enter(lab.handle);
  t.teardown(() => other.close());
  const { ifindex } = await other.createLink({ name: "br0", kind: "bridge" });
  const seen = new Set<number>();
  let overrun = false;
  await lab.ns.watch((batch) => {
    for (const event of batch) {
      if (event.type === "link") seen.add(event.link.mtu);
      if (event.type === "overrun") overrun = true;
    }
  });
  const burst = Array.from({ length: 1000 }, (_, i) => other.changeLink({ ifindex }, { mtu: 10_000 + i }));
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
  await Promise.all(burst);
  await until(() => seen.has(10_999) || overrun);
  t.false(overrun);
  t.is(seen.size, 1000);
});
