/** What is made and closed again leaves nothing: descriptors, threads, memory, links. */
import { readdirSync } from "node:fs";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import test from "ava";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { makeLab } from "./kernel-lab.ts";

setFlagsFromString("--expose-gc");
const gc: () => void = runInNewContext("gc");

const GROWTH = 8 * 1024 * 1024; // V8's heap breathes; 1 KiB lost a cycle would show after some thousand steps

async function settle(): Promise<{ descriptors: number; threads: number; rss: number }> {
  for (let i = 0; i < 5; i++) {
    gc();
    await new Promise((resolve) => setImmediate(resolve));
  }
  return {
    descriptors: readdirSync("/proc/self/fd").length,
    threads: readdirSync("/proc/self/task").length,
    rss: process.memoryUsage().rss,
  };
}

test.serial("500 cycles of create and delete", async (t) => {
  const [host, pod] = [await makeLab(t), await makeLab(t)];
  const cycle = async () => {
    const { ifindex, peerIfindex } = await host.ns.createLink({
      name: "v0",
      kind: "veth",
      alias: "cycle",
      up: true,
      noIpv6LinkLocal: true,
      peer: { name: "eth0", netns: pod.handle },
    });
    await pod.ns.changeLink({ ifindex: peerIfindex }, { up: true });
    await host.ns.createLink({ name: "v0", kind: "bridge" }).catch(() => {});
    await host.ns.links();
    await host.ns.deleteLink({ ifindex });
  };
  await host.ns.watch(() => {});
  // Threads that delete are started when others are busy, eight at most, and stay: all are there before the count begins.
  const many = Array.from({ length: 16 }, (_, i) => `b${i}`);
  for (const name of many) await host.ns.createLink({ name, kind: "bridge" });
  await Promise.all(many.map((name) => host.ns.deleteLink({ name })));
  for (let i = 0; i < 100; i++) await cycle();
  const before = await settle();
  for (let i = 0; i < 500; i++) await cycle();
  const after = await settle();
  t.is(after.descriptors, before.descriptors);
  t.is(after.threads, before.threads);
  t.true(after.rss - before.rss < GROWTH, `memory grew by ${after.rss - before.rss}`);
  t.is((await host.ns.links()).length, 1);
});

test.serial("200 cycles of open, enter, watch, delete and close", async (t) => {
  const lab = await makeLab(t);
  const kernel = nativeKernel();
  const cycle = async () => {
    const handle = kernel.openNetns(lab.path);
    const ns = await kernel.enter(handle);
    await ns.watch(() => {});
    await ns.createLink({ name: "br0", kind: "bridge" });
    await ns.deleteLink({ name: "br0" });
    await ns.close();
    handle.close();
  };
  for (let i = 0; i < 30; i++) await cycle();
  const before = await settle();
  for (let i = 0; i < 200; i++) await cycle();
  const after = await settle();
  t.is(after.descriptors, before.descriptors);
  t.is(after.threads, before.threads);
  t.true(after.rss - before.rss < GROWTH, `memory grew by ${after.rss - before.rss}`);
});
