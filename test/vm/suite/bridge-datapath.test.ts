// The bridge datapath on a kernel that filters: what was set is found again, and nothing leaks while a port is made.
import test from "ava";
import { BridgeDatapath } from "../../../daemon/datapath/bridge/bridge-datapath.ts";
import { createLog } from "../../../daemon/log.ts";
import { samePort } from "../../../daemon/model/port.ts";
import { compileProbePort } from "../../../daemon/model/ports.ts";
import { attachmentAlias } from "../../../daemon/model/target.ts";
import { VlanSet } from "../../../daemon/model/vlan-set.ts";
import { Reconciler } from "../../../daemon/reconcile/reconciler.ts";
import { makeLab } from "../../netns/kernel-lab.ts";
import { BROADCAST, frame, station, text } from "../../peers/frames.ts";
import { attachment, intent, network, vlanConfig } from "../../peers/model-fixtures.ts";
import { OOB, tap, TestHost } from "../../support/test-host.ts";

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
    ends: { setMtu: async () => {} },
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
