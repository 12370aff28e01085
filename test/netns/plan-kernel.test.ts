// Plans of links on the real kernel: what was asked for is what it reports back, so that a second look finds nothing.
import test from "ava";
import { parseIntent } from "../../daemon/intent/intent.ts";
import { compile } from "../../daemon/model/compile.ts";
import { describePlan } from "../../daemon/model/describe.ts";
import { diff } from "../../daemon/model/diff.ts";
import { inverse } from "../../daemon/model/inverse.ts";
import { EBPF, NO_ENDS } from "../peers/model-fixtures.ts";
import type { Plan } from "../../daemon/model/plan.ts";
import { type Intent, NO_INTENT } from "../../daemon/model/resources.ts";
import type { Datapath } from "../../daemon/datapath/datapath.ts";
import { apply } from "../../daemon/reconcile/apply.ts";
import { ip, type Lab, makeLab } from "./kernel-lab.ts";

const host = { nodeName: "n", nodeLabels: {} };

function intent(mtu: number): Intent {
  return parseIntent(
    `apiVersion: network.harvesterhci.io/v1beta1
kind: ClusterNetwork
metadata: {name: oob}
---
apiVersion: network.harvesterhci.io/v1beta1
kind: VlanConfig
metadata: {name: v}
spec: {clusterNetwork: oob, uplink: {nics: [nic0], linkAttributes: {mtu: ${mtu}, txQLen: 500, hardwareAddr: "02:00:5e:10:00:01"}}}
---
apiVersion: portwright.io/v1alpha1
kind: Network
metadata: {name: n}
spec: {clusterNetwork: oob, type: L2VlanNetwork, vlan: 100, route: {mode: manual, cidr: 10.0.0.0/24, gateway: 10.0.0.1}}
`,
    "t.yaml",
    host,
  );
}
const nothing = NO_INTENT;

/** Links only: whether ports are right is the datapath's affair. */
async function plan(lab: Lab, wanted: Intent): Promise<Plan> {
  const links = await lab.ns.links();
  const world = { links, addresses: await lab.ns.addresses(), ports: [] };
  const { target } = compile({
    intent: wanted,
    attachments: [],
    ...world,
    bonding: false,
    switching: EBPF,
    switchIds: new Map(),
    leases: new Map(),
  });
  return { steps: diff(target, world).steps.filter((step) => !step.op.endsWith("port")) };
}

async function carryOut(lab: Lab, steps: Plan): Promise<void> {
  const failures = await apply(steps, lab.ns, {} as Datapath, NO_ENDS);
  if (failures[0]) throw failures[0].error;
}

async function withNic(t: Parameters<typeof makeLab>[0]): Promise<Lab> {
  const lab = await makeLab(t);
  await lab.ns.createLink({ name: "nic0", kind: "veth", peer: { name: "wire" } });
  await lab.ns.createLink({ name: "br9", kind: "bridge" });
  return lab;
}

test("after a plan the kernel reports what was wanted, and the next plan is empty and writes nothing", async (t) => {
  const lab = await withNic(t);
  for (const mtu of [0, 9000, 1400]) {
    await carryOut(lab, await plan(lab, intent(mtu)));
    const writes = lab.ns.writes.netlink;
    t.is(describePlan(await plan(lab, intent(mtu))), "nothing to do");
    t.is(lab.ns.writes.netlink, writes);
    for (const { ifname, mtu: found, flags } of await ip(lab, "link", "show")) {
      if (!/^(nic0|oob-)/.test(ifname)) continue;
      t.is(found, mtu || 1500, ifname);
      t.true(flags.includes("UP"), ifname);
      t.is(flags.includes("NOARP"), /-p[pi]$/.test(ifname), ifname);
      t.is(flags.includes("PROMISC"), ifname === "nic0", ifname);
    }
  }
  const [nic] = await ip(lab, "link", "show", "nic0");
  t.like(nic, { address: "02:00:5e:10:00:01", txqlen: 500 });
  const [bridge] = await ip(lab, "link", "show", "oob-br");
  t.like(bridge.linkinfo.info_data, { stp_state: 0, forward_delay: 0 });
  for (const name of ["oob-br", "oob-pp", "oob-pi"]) {
    const [{ addr_info: addresses }] = await ip(lab, "address", "show", "dev", name);
    t.deepEqual(addresses, [], `${name} has no address of its own`);
  }
});

test("drift is put right, and only what drifted is written", async (t) => {
  const lab = await withNic(t);
  await carryOut(lab, await plan(lab, intent(0)));
  await lab.ns.changeLink({ name: "oob-pi" }, { up: false });
  await lab.ns.changeLink({ name: "nic0" }, { promiscuous: false });
  await lab.ns.changeLink({ name: "oob-br" }, { data: { forwardDelay: 700 } });
  const repair = await plan(lab, intent(0));
  t.is(
    describePlan(repair),
    ["change nic0: promiscuous off -> on", "change oob-br: forwardDelay 700 -> 0", "change oob-pi: up off -> on"].join(
      "\n",
    ),
  );
  await carryOut(lab, repair);
  t.is(describePlan(await plan(lab, intent(0))), "nothing to do");
});

test("the inverse of a plan takes away what it made and leaves the rest as it was", async (t) => {
  const lab = await withNic(t);
  const shape = async (): Promise<unknown> =>
    (await lab.ns.links()).map(({ name, flags, mtu, mac, alias, txQueueLength }) => {
      // An interface's own flags: what its carrier makes of them is not ours.
      return { name, up: flags & 1, promiscuous: flags & 0x100, mtu, mac, alias, txQueueLength };
    });
  const before = await shape();
  const made = await plan(lab, intent(9000));
  await carryOut(lab, made);
  t.notDeepEqual(await shape(), before);
  await carryOut(lab, inverse(made));
  t.deepEqual(await shape(), before);
});

test("what is not wanted any more goes; a stranger's bridge stays", async (t) => {
  const lab = await withNic(t);
  await carryOut(lab, await plan(lab, intent(0)));
  await carryOut(lab, await plan(lab, nothing));
  const names = (await lab.ns.links()).map(({ name }) => name).sort();
  t.deepEqual(names, ["br9", "lo", "nic0", "wire"]);
});
