/** What STATUS is told of a cluster network, by what was observed of its uplink. */
import test from "ava";
import type { Link } from "../../daemon/kernel/kernel.ts";
import type { PortConfig } from "../../daemon/model/port.ts";
import type { SwitchContext } from "../../daemon/model/ports.ts";
import { networkHealth } from "../../daemon/reconcile/network-health.ts";
import type { Facts } from "../../daemon/reconcile/report.ts";
import { vlanConfig } from "../peers/model-fixtures.ts";
import { link } from "../peers/simulate.ts";

const nic: Link = link({ ifindex: 1, name: "nic0", up: true, carrier: true });
const config = { uplink: true, switchId: 0, allowed: "1", untagged: "1" } as unknown as PortConfig;

function facts(more: Partial<Facts> = {}, uplink = "nic0"): Facts {
  const context = { clusterNetwork: "a", switchId: 0, uplink } as SwitchContext;
  return {
    intent: { vlanConfigs: new Map([["a", vlanConfig("a", ["nic0"])]]) } as unknown as Facts["intent"],
    contexts: new Map([["a", context]]),
    workloads: [],
    links: [nic],
    ports: [{ ifindex: 1, portId: 1, config, attached: true }],
    probes: [],
    conditions: [],
    ...more,
  };
}

const well = { cannotAttach: [], suffers: [] };

test("a network whose uplink carries frames is well, also with a NIC missing", (t) => {
  t.deepEqual(networkHealth(facts(), "a"), well);
  const absent = { code: "NIC_ABSENT", object: "ClusterNetwork/a", message: "no nic1" } as const;
  t.deepEqual(networkHealth(facts({ conditions: [absent] }), "a"), well);
});

test("a network that is not there takes no one, one without an uplink cannot fail", (t) => {
  t.deepEqual(networkHealth(facts(), "b"), {
    cannotAttach: ["there is no cluster network b on this host"],
    suffers: [],
  });
  const alone = { intent: { vlanConfigs: new Map() } as unknown as Facts["intent"], ports: [] };
  t.deepEqual(networkHealth(facts(alone, ""), "a"), well);
});

test("an uplink that is not switched, down or without carrier is told with what is known of it", (t) => {
  const why = (more: Partial<Facts>, uplink?: string) => networkHealth(facts(more, uplink), "a").suffers;
  const conditions = [{ code: "NIC_ABSENT", object: "ClusterNetwork/a", message: "no nic0" } as const];
  t.deepEqual(why({ ports: [], conditions }, ""), [
    "cluster network a has no uplink that is switched",
    "no nic0 [NIC_ABSENT]",
  ]);
  t.deepEqual(why({ ports: [{ ifindex: 1, portId: 1, config, attached: false }] }), [
    "cluster network a has no uplink that is switched",
  ]);
  t.deepEqual(why({ links: [{ ...nic, up: false, carrier: false }] }), ["cluster network a has its uplink nic0 down"]);
  t.deepEqual(why({ links: [{ ...nic, carrier: false }] }), ["cluster network a has no carrier at its uplink nic0"]);
});
