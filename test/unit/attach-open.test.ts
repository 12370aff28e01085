/** Opening a port that was attached closed: once, durably, with the network told; and what a failure leaves. */
import test from "ava";
import { announcement, reverseRequest, tagged } from "../../daemon/attach/announce.ts";
import { announcements } from "../../daemon/attach/opening.ts";
import { BlockFiles } from "../../daemon/state/block-files.ts";
import { Records } from "../../daemon/attach/records.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import { network } from "../peers/model-fixtures.ts";
import { cni, FakeHost } from "../support/attach-fakes.ts";
import { join } from "node:path";

const MAC = "02:00:00:00:00:02";
const hex = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString("hex");
const request = {
  network: "vlan100",
  netns: "/ns/a",
  containerId: "vm-1",
  interface: "net0",
  mac: MAC,
  addresses: ["10.0.0.2/24", "fd00::2/64"],
} as const;

async function attached(t: { teardown(end: () => void): void }, state: "ready" | "gated") {
  const fake = new FakeHost();
  t.teardown(() => fake.dispose());
  fake.networks.set("vlan100", network("vlan100", "oob", 100));
  const netns = fake.addNetns("/ns/a");
  const service = await fake.started();
  const attachment = await service.attach({ ...request, state });
  return { fake, netns, service, attachment };
}

test("what is attached closed announces nothing, and is told to be so", async (t) => {
  const { netns, attachment, service } = await attached(t, "gated");
  t.like(attachment, { gated: true, state: "ready" });
  t.deepEqual(netns.frames, []);
  const open = await attached(t, "ready");
  t.is(open.netns.frames.length, 2);
  t.true(service.list()[0]?.gated);
});

test("opening announces MAC and addresses once, however often it is asked for", async (t) => {
  const { fake, service } = await attached(t, "gated");
  const opened = await Promise.all([service.open("vm-1/net0"), service.open("vm-1/net0")]);
  t.deepEqual(
    opened.map(({ gated }) => gated),
    [false, false],
  );
  t.false((await service.open("vm-1/net0")).gated);
  t.deepEqual(fake.opened, ["vm-1/net0"]);
  t.deepEqual(fake.sent.map(hex), [
    hex(reverseRequest(MAC)),
    hex(announcement(MAC, "10.0.0.2")),
    hex(announcement(MAC, "fd00::2")),
  ]);
  t.deepEqual(fake.events, ["attached vm-1/net0", "opened vm-1/net0"]);
});

test("what is open already stays as it is: nothing is announced", async (t) => {
  const { fake, service } = await attached(t, "ready");
  t.false((await service.open("vm-1/net0")).gated);
  t.deepEqual([fake.opened, fake.sent, fake.events], [[], [], ["attached vm-1/net0"]]);
});

test("what is not attached cannot be opened", async (t) => {
  const { service } = await attached(t, "gated");
  await t.throwsAsync(service.open("vm-2/net0"), { code: "ATTACHMENT_UNKNOWN" } as never);
});

test("that a port is open is on disk before it is", async (t) => {
  const { fake, service } = await attached(t, "gated");
  const onDisk = () => {
    const files = new BlockFiles(join(fake.stateDir, "attachments"));
    return new Records(files, { warn: () => undefined }).get("vm-1/net0")?.attachment.gated;
  };
  t.true(onDisk());
  let seen: boolean | undefined;
  fake.onStep = (step) => {
    if (step === "open") seen = onDisk();
  };
  await service.open("vm-1/net0");
  t.false(seen);
});

test("a port that does not open is closed, on disk too, and can be opened later", async (t) => {
  const { fake, service } = await attached(t, "gated");
  fake.onStep = (step) => {
    if (step === "open") throw new Error("no map");
  };
  await t.throwsAsync(service.open("vm-1/net0"), { message: /no map/ });
  t.true(service.list()[0]?.gated);
  t.deepEqual(fake.sent, []);
  fake.onStep = () => undefined;
  await service.open("vm-1/net0");
  t.is(fake.sent.length, 3);
});

test("nobody fails for want of an announcement", async (t) => {
  const { fake, service } = await attached(t, "gated");
  fake.onStep = (step) => {
    if (step === "send") throw new Error("the device is down");
  };
  t.false((await service.open("vm-1/net0")).gated);
  t.true(fake.log.some(({ level, message }) => level === "warn" && message.includes("announced")));
});

test("a CNI attachment may be closed, too", async (t) => {
  const fake = new FakeHost();
  t.teardown(() => fake.dispose());
  fake.networks.set("vlan100", network("vlan100", "oob", 100));
  fake.addNetns("/ns/a");
  const service = await fake.started();
  const conf = { cniVersion: "1.0.0", name: "n", type: "portwright", network: "vlan100", gated: true };
  t.is((await cni(service, { command: "ADD", netns: "/ns/a", conf })).exitCode, 0);
  const [made] = service.list();
  t.true(made?.gated);
  t.false((await service.open(made?.id ?? "")).gated);
  t.is(fake.opened.length, 1);
});

test("the MAC is told in each VLAN in its form, addresses where untagged frames go", (t) => {
  const ips = [{ address: "10.0.0.2", prefixLength: 24 }];
  const moved = hex(reverseRequest(MAC));
  const arp = hex(announcement(MAC, "10.0.0.2"));
  const of = (native: number, vids: VlanSet) =>
    announcements({ mac: MAC, ips, vlans: { mode: "trunk", tagged: vids, native } }).map(hex);
  t.deepEqual(announcements({ mac: MAC, ips, vlans: { mode: "access", vlan: 100 } }).map(hex), [moved, arp]);
  t.deepEqual(announcements({ mac: MAC, ips: [], vlans: { mode: "untagged" } }).map(hex), [moved]);
  const in200 = hex(tagged(reverseRequest(MAC), 200));
  t.deepEqual(of(0, VlanSet.of(200)), [in200]);
  t.deepEqual(of(1, VlanSet.of(1, 200)), [moved, arp, in200], "the native VLAN has one form");
  t.is(of(1, VlanSet.all).length, 2 + 256, "bounded");
  t.is(in200, `${moved.slice(0, 24)}810000c8${moved.slice(24)}`);
});
