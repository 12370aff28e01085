// The bridge datapath on a kernel that filters: what was set is found again, and nothing leaks while a port is made.
import test from "ava";
import type { AttachmentView } from "../../../daemon/api/views.ts";
import { call } from "../../../daemon/client/call.ts";
import { BridgeDatapath } from "../../../daemon/datapath/bridge/bridge-datapath.ts";
import { createLog } from "../../../daemon/log.ts";
import { Lab } from "../../../daemon/demo/lab.ts";
import { nativeKernel } from "../../../daemon/kernel/native.ts";
import { bridge as bridgeLink } from "../../../daemon/links/bridge.ts";
import { linkCreate } from "../../../daemon/links/link.ts";
import { type PortConfig, samePort } from "../../../daemon/model/port.ts";
import { compileProbePort } from "../../../daemon/model/ports.ts";
import { attachmentAlias } from "../../../daemon/model/target.ts";
import { VlanSet } from "../../../daemon/model/vlan-set.ts";
import { Reconciler } from "../../../daemon/reconcile/reconciler.ts";
import { makeLab } from "../../netns/kernel-lab.ts";
import { BROADCAST, frame, station, text } from "../../peers/frames.ts";
import { attachment, intent, NO_ENDS, network, vlanConfig } from "../../peers/model-fixtures.ts";
import { reverseRequest } from "../../../daemon/attach/announce.ts";
import { until } from "../../support/until.ts";
import { port } from "../../peers/port-config.ts";
import { SwitchBed } from "../../support/switch-bed.ts";
import { OOB, tap, TestHost } from "../../support/test-host.ts";

interface Sent {
  readonly at: number;
  readonly src: string;
  readonly dst?: string;
  readonly vid?: number;
}

test.serial("a hundred quiet rounds write nothing, and find what was set", async (t) => {
  const { ns } = await makeLab(t);
  for (const [name, peer] of [
    ["nic0", "far0"],
    ["pwa", "eth0"],
  ] as const) {
    await ns.createLink({ name, kind: "veth", up: true, peer: { name: peer } });
  }
  const a = attachment("a", "oob", { mode: "trunk", tagged: VlanSet.parse("100-200"), native: 7 }, { isolated: true });
  await ns.changeLink({ name: "pwa" }, { alias: attachmentAlias("oob", "net", "a"), noArp: true });
  const datapath = new BridgeDatapath(ns, "");
  const switching = { datapath: "bridge", vlanFiltering: true, vlanLinks: false, hostKey: "test" } as const;
  const meters = { countReconcile() {}, setDrift() {}, countRepairs() {}, countDeleted() {} };
  const log = createLog({ level: "silent" });
  const reconciler = new Reconciler({
    namespace: ns,
    datapath,
    log,
    meters,
    bonding: true,
    switching,
    leases: () => new Map(),
    ends: NO_ENDS,
  });
  reconciler.register({ ...a, hostInterface: "pwa" });
  const { failures } = await reconciler.setIntent(
    intent(["oob"], [vlanConfig("oob", ["nic0"])], [network("n", "oob", 300, true)]),
  );
  t.deepEqual(failures, []);
  await reconciler.reconcile("settle"); // links come up
  const { netlink } = ns.writes;
  for (let i = 0; i < 100; i++) t.deepEqual((await reconciler.reconcile("interval")).plan.steps, []);
  t.is(ns.writes.netlink, netlink);
  t.deepEqual(await datapath.unhooked(), []);
  // A daemon that starts anew knows nothing, and finds the same.
  const again = new BridgeDatapath(ns, "");
  t.is((await again.observe(ns.links())).length, 3);

  // The bridge itself in a VLAN is a port, too.
  const bridge = await ns.link({ name: "oob-br" });
  const config = {
    ...compileProbePort(VlanSet.of(9), {
      ...{ clusterNetwork: "oob", switchId: 0, datapath: "bridge", mtu: 1500, nativeVlan: 1, uplink: "" },
    }).config,
  };
  await datapath.setPort(bridge?.ifindex ?? 0, config);
  t.true(samePort((await datapath.inspect(bridge?.ifindex ?? 0))?.config ?? { ...config, mtu: 0 }, config));
  await datapath.removePort(bridge?.ifindex ?? 0);
  t.is(await datapath.inspect(bridge?.ifindex ?? 0), null);
  await datapath.destroy();
  t.deepEqual(await ns.bridgeVlans(), []);
  t.true((await ns.links()).every(({ master, masterKind }) => master === 0 || masterKind === "bond"));
});

test.serial(
  "a hairpin, a port of one source and a closed port are kept by the kernel, found again, and undone",
  async (t) => {
    const lab = new Lab(nativeKernel(), `pwbd${process.pid}`);
    t.teardown(() => lab.dispose());
    const bed = await SwitchBed.make(lab, "bed", 3, 2);
    const { namespace: ns } = bed.host;
    const switching = { datapath: "bridge", vlanFiltering: true, vlanLinks: true, hostKey: "test" } as const;
    await ns.createLink(linkCreate(bridgeLink("oob", 0, 1500, switching)));
    const datapath = new BridgeDatapath(ns, "");
    bed.use(datapath);
    t.teardown(() => bed.close());
    const as = (config: PortConfig, change: Partial<PortConfig> = {}): PortConfig => ({
      ...config,
      datapath: "bridge",
      ...change,
    });
    const access = as(port([], [100]));
    const trunk = as(port([100, 200]), { kind: "nic", uplink: true, peer: false });
    for (const at of [0, 1]) await bed.setPort(at, access);
    await bed.setPort(2, trunk);
    const ifindex = (await ns.link({ name: "p0" }))?.ifindex ?? 0;
    const same = async (config: PortConfig) => {
      for (const one of [datapath, new BridgeDatapath(ns, "")]) {
        const found = await one.inspect(ifindex);
        t.true(found !== null && found.attached && samePort(found.config, config), JSON.stringify(found));
      }
      const { netlink } = ns.writes;
      await bed.setPort(0, config);
      t.is(ns.writes.netlink, netlink, "nothing is left to write");
      t.deepEqual(await datapath.unhooked(), []);
    };
    let frames = 0;
    /** Arrives by exactly these ports; those by which it must not are given time, too. */
    const reaches = async (what: string, expected: readonly number[], { at, src, dst = BROADCAST, vid }: Sent) => {
      const mark = `<${frames++}>`;
      await bed.send(at, frame({ src, dst, tags: vid === undefined ? [] : [{ vid }], payload: text(mark) }));
      const arrived = (): readonly number[] => bed.arrived(mark).map((arrival) => arrival.port);
      await until(() => arrived().length >= expected.length);
      await new Promise((resolve) => setTimeout(resolve, 200));
      t.deepEqual(arrived(), expected, what);
    };
    const [mine, other] = [station(1), station(2)];
    const fromMine = { at: 0, src: mine };
    const fromOther = { at: 0, src: other };
    await until(async () =>
      (await ns.links()).every(({ masterKind, memberData }) => !masterKind || memberData["state"] === 3),
    );
    await reaches("plain", [1, 2], fromMine);

    const hairpin = as(access, { hairpin: true });
    await bed.setPort(0, hairpin);
    await same(hairpin);
    await reaches("hairpin", [0, 1, 2], fromMine);
    await reaches("known at the port from here on", [0, 1, 2], fromOther);

    const held = as(access, { sourceMac: mine });
    await bed.setPort(0, held);
    await same(held);
    await reaches("its own source", [1, 2], fromMine);
    await reaches("another, although it was known there", [], fromOther);
    await reaches("for the host, which must not teach the bridge", [], { ...fromOther, dst: "01:80:c2:00:00:0e" });
    await reaches("another still", [], fromOther);
    await reaches("its source from elsewhere, where it may be", [0, 2], { at: 1, src: mine });
    await reaches("its own source, which did not move", [1, 2], fromMine);
    await reaches("to it", [0], { at: 2, src: station(3), dst: mine, vid: 100 });
    const heldTrunk = as(port([100, 200], [300]), { sourceMac: mine });
    await bed.setPort(0, heldTrunk);
    await same(heldTrunk);
    await reaches("its own source in another VLAN", [2], { ...fromMine, vid: 200 });
    await reaches("another in another VLAN", [], { ...fromOther, vid: 200 });

    const closed = as(port([]), { open: false });
    await bed.setPort(0, closed);
    await same(closed);
    t.deepEqual(await places(), []);
    await reaches("out of a closed port", [], fromMine);
    await reaches("into a closed port", [2], { at: 1, src: other });
    await ns.changeLink({ ifindex }, { up: false });
    await ns.changeLink({ ifindex }, { up: true });
    await until(async () => (await ns.link({ ifindex }))?.memberData["state"] === 3);
    await reaches("into a closed port whose carrier went and came", [2], { at: 1, src: other });

    await reaches("the address, at an uplink now", [1], { at: 2, src: mine, vid: 100 });
    t.is((await places()).length, 1);
    await bed.setPort(0, access);
    await same(access);
    await datapath.forgetElsewhere(ifindex, mine);
    t.deepEqual(await places(), []);
    await reaches("open again, for any source", [1, 2], fromOther);

    async function places() {
      return (await datapath.fdb()).filter((entry) => entry.mac === mine);
    }
  },
);

test.serial("a frame that comes while a port is being made is in no VLAN but the port's", async (t) => {
  const h = await TestHost.start(t, { intent: OOB(), datapath: "bridge" });
  const native = await h.add("native", { vlan: 0 });
  const inside = await tap(t, native.host, "eth0");
  const wire = await tap(t, h.wire, "nic0");
  let on = true;
  const storm = (async () => {
    for (let i = 0; on; i++) {
      await wire.send(
        frame({ dst: BROADCAST, src: station(9), tags: i % 2 ? [{ vid: 1 }] : [], payload: text("leak") }),
      );
      if (i % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
  })();
  const leaked: string[] = [];
  for (let i = 0; i < 5; i++) {
    const host = await h.lab.host(`pod${i}`);
    // The interface appears within the ADD; what reaches it from then on is counted by the kernel itself.
    const pod = await h.add(`pod${i}`, { vlan: 100 + i }, { pod: host });
    const seen = await tap(t, host, "eth0");
    await new Promise((resolve) => setTimeout(resolve, 50));
    const { stats } = (await host.namespace.link({ name: "eth0" })) ?? {};
    const byLeak = seen.frames.filter(({ data }) => Buffer.from(data).includes("leak"));
    if (byLeak.length > 0 || (stats?.rxPackets ?? 0) > 0) leaked.push(`${pod.name}: ${stats?.rxPackets}`);
  }
  on = false;
  await storm;
  t.deepEqual(leaked, []);
  t.true(inside.frames.some(({ data, vlan }) => vlan === undefined && Buffer.from(data).includes("leak")));
});

test.serial(
  "a closed workload that takes one source only is opened and announced by the kernel's bridge, too",
  async (t) => {
    const h = await TestHost.start(t, { intent: OOB(), datapath: "bridge" });
    const wire = await tap(t, h.wire, "nic0");
    const pod = await h.add("vm", { vlan: 100, gated: true, macspoofchk: true });
    const mac = pod.result.interfaces[2]?.mac ?? "";
    const inside = await tap(t, pod.host, "eth0");
    const neighbour = await tap(t, (await h.add("neighbour", { vlan: 100 })).host, "eth0");
    const say = (src: string, what: string) => inside.send(frame({ src, dst: BROADCAST, payload: text(what) }));
    const heard = (what: string) => wire.frames.filter(({ data }) => Buffer.from(data).includes(what)).length;
    await say(mac, "too early");
    await neighbour.send(frame({ src: station(9), dst: BROADCAST, payload: text("to all") }));
    await until(() => heard("to all") === 1);
    t.is(heard("too early"), 0);
    t.false(inside.frames.some(({ data }) => Buffer.from(data).includes("to all")));
    t.deepEqual((await h.status()).conditions, []);

    wire.clear();
    const opening = { method: "POST", path: "/v1/attachments/vm%2Feth0/open" } as const;
    for (let i = 0; i < 2; i++) t.is((await call<AttachmentView>(h.runtime.socket, opening)).state, "ready");
    const told = Buffer.from(reverseRequest(mac)).toString("hex");
    const announced = () =>
      wire.frames.filter(({ data, vlan }) => vlan?.tci === 100 && Buffer.from(data).toString("hex") === told).length;
    await until(() => announced() === 1);
    await say(mac, "here I am");
    await say(station(8), "not me");
    await say(mac, "and here");
    await until(() => heard("and here") === 1);
    t.deepEqual([heard("here I am"), heard("not me"), announced()], [1, 0, 1]);
    t.deepEqual((await h.status()).conditions, []);
  },
);
