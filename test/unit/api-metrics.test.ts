/** The scrape: its text parsed, every name and label of the catalogue, counters that never fall. */
import test from "ava";
import { LabelCache, label, MonotonicSum } from "../../daemon/api/metrics/family.ts";
import { createMetrics, type Metrics } from "../../daemon/api/metrics/registry.ts";
import { dropDirection } from "../../daemon/api/metrics/drop-direction.ts";
import type { MetricSources } from "../../daemon/api/metrics/sources.ts";
import type { PortCounters } from "../../daemon/datapath/datapath.ts";
import { DROP_REASONS } from "../../daemon/datapath/drop-reasons.ts";
import type { PortStatus, Status } from "../../daemon/model/status.ts";
import { client, startTestApi } from "./api-fake.ts";
import { counters, port, status } from "./api-samples.ts";

interface Sample {
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}
interface Family {
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

/** A strict reader of the text format: throws at a line that it does not know. */
function parse(text: string): Map<string, Family> {
  const families = new Map<string, { type: string; help: string; samples: Sample[] }>();
  const seen = new Set<string>();
  for (const line of text.split("\n")) {
    if (line === "") continue;
    const help = /^# HELP (\w+) (.+)$/.exec(line);
    if (help) {
      if (families.has(help[1]!)) throw new Error(`a second HELP: ${line}`);
      families.set(help[1]!, { type: "", help: help[2]!, samples: [] });
      continue;
    }
    const type = /^# TYPE (\w+) (counter|gauge|histogram)$/.exec(line);
    if (type) {
      families.get(type[1]!)!.type = type[2]!;
      continue;
    }
    const sample = /^(\w+)(?:\{(.*)\})? (-?[\d.e+-]+|[+-]Inf|NaN)$/.exec(line);
    if (!sample) throw new Error(`not a sample: ${line}`);
    const key = `${sample[1]}{${sample[2] ?? ""}}`;
    if (seen.has(key)) throw new Error(`twice: ${key}`);
    seen.add(key);
    const family = families.get(sample[1]!) ?? families.get(sample[1]!.replace(/_(bucket|sum|count)$/, ""));
    if (!family) throw new Error(`without HELP: ${line}`);
    const labels: Record<string, string> = {};
    for (const [, name, quoted] of (sample[2] ?? "").matchAll(/(\w+)="((?:[^"\\]|\\.)*)"/g)) labels[name!] = quoted!;
    family.samples.push({ labels, value: sample[3] === "+Inf" ? Infinity : Number(sample[3]) });
  }
  return families;
}

class FakeSources implements MetricSources {
  portList: PortStatus[] = [port("pwveth1", 7)];
  counterList: PortCounters[] = [counters(7)];
  state: Status = status;
  reads = 0;
  async counters() {
    this.reads++;
    return this.counterList;
  }
  async ports() {
    return this.portList;
  }
  async status() {
    return this.state;
  }
  async mapUse() {
    return [{ map: "fdb", entries: 3, maxEntries: 65_536 }];
  }
  async fdbCounts() {
    return [
      { switchId: 0, vlan: 100, entries: 5 },
      { switchId: 0, vlan: 999, entries: 2 },
      { switchId: 9, vlan: 100, entries: 1 },
    ];
  }
}

function make(
  sources = new FakeSources(),
): Metrics & { sources: FakeSources; failed: string[]; scrape(): Promise<Map<string, Family>> } {
  const failed: string[] = [];
  const made = createMetrics({ sources, version: "1.2.3", onError: (source) => void failed.push(source) });
  return { ...made, sources, failed, scrape: async () => parse(await made.registry.metrics()) };
}

function value(families: Map<string, Family>, name: string, labels: Record<string, string> = {}): number | undefined {
  const wanted = identity(labels);
  const found = families.get(`portwright_${name}`)?.samples.find((s) => identity(s.labels) === wanted);
  return found?.value;
}

function identity(labels: Readonly<Record<string, string>>): string {
  return Object.keys(labels)
    .toSorted()
    .map((name) => `${name}=${labels[name]}`)
    .join();
}

const catalogue: Record<string, readonly [string, readonly string[]]> = {
  port_receive_packets_total: ["counter", ["device", "network", "vlan"]],
  port_receive_bytes_total: ["counter", ["device", "network", "vlan"]],
  port_transmit_packets_total: ["counter", ["device", "network", "vlan"]],
  port_transmit_bytes_total: ["counter", ["device", "network", "vlan"]],
  port_drops_total: ["counter", ["device", "direction", "reason"]],
  port_flood_packets_total: ["counter", ["device"]],
  fdb_moves_total: ["counter", ["network"]],
  fdb_limit_hits_total: ["counter", ["device"]],
  fdb_entries: ["gauge", ["network"]],
  link_flaps_total: ["counter", ["device"]],
  probe_attempts_total: ["counter", ["network", "probe", "result"]],
  probe_success: ["gauge", ["network", "probe"]],
  probe_last_success_timestamp_seconds: ["gauge", ["network", "probe"]],
  probe_rtt_seconds: ["histogram", ["probe"]],
  network_mtu_bytes: ["gauge", ["network"]],
  network_up: ["gauge", ["network"]],
  uplink_member_up: ["gauge", ["cluster_network", "device"]],
  cni_requests_total: ["counter", ["command", "result"]],
  cni_request_duration_seconds: ["histogram", ["command"]],
  api_rejected_total: ["counter", ["reason"]],
  reconcile_total: ["counter", ["result"]],
  reconcile_duration_seconds: ["histogram", []],
  netlink_overruns_total: ["counter", []],
  drift_objects: ["gauge", []],
  drift_repairs_total: ["counter", []],
  rollbacks_total: ["counter", ["cause"]],
  gc_deleted_total: ["counter", ["kind"]],
  config_generation: ["gauge", ["stage"]],
  bpf_map_entries: ["gauge", ["map"]],
  bpf_map_max_entries: ["gauge", ["map"]],
  build_info: ["gauge", ["version", "node", "datapath"]],
};

test("every metric of the catalogue is there from the first scrape, with its type and labels, and no other", async (t) => {
  const families = await make().scrape();
  t.deepEqual(
    [...families.keys()].toSorted(),
    Object.keys(catalogue)
      .map((n) => `portwright_${n}`)
      .toSorted(),
  );
  for (const [name, [type, labels]] of Object.entries(catalogue)) {
    const family = families.get(`portwright_${name}`);
    t.is(family?.type, type, name);
    t.truthy(family?.help, name);
    t.true((family?.samples.length ?? 0) > 0, `${name} has a series`);
    for (const sample of family?.samples ?? []) {
      const own = Object.keys(sample.labels).filter((l) => l !== "le");
      t.deepEqual(own.toSorted(), [...labels].toSorted(), name);
    }
  }
});

test("the switch's counters are passed on", async (t) => {
  const families = await make().scrape();
  const vlan = { device: "pwveth1", network: "vlan100", vlan: "100" };
  t.is(value(families, "port_receive_packets_total", vlan), 10);
  t.is(value(families, "port_receive_bytes_total", vlan), 9_007_199_254_740_992);
  t.is(value(families, "port_transmit_packets_total", vlan), 20);
  t.is(value(families, "port_transmit_bytes_total", vlan), 2000);
  t.is(value(families, "port_drops_total", { device: "pwveth1", direction: "in", reason: "vlan_not_allowed" }), 3);
  t.is(value(families, "port_drops_total", { device: "pwveth1", direction: "out", reason: "mtu" }), 0);
  t.is(value(families, "port_flood_packets_total", { device: "pwveth1" }), 4);
  t.is(value(families, "fdb_moves_total", { network: "vlan100" }), 5);
  t.is(value(families, "fdb_limit_hits_total", { device: "pwveth1" }), 6);
});

test("state is passed on", async (t) => {
  const families = await make().scrape();
  t.is(value(families, "network_up", { network: "vlan100" }), 1);
  t.is(value(families, "uplink_member_up", { cluster_network: "oob", device: "nic0" }), 1);
  t.is(value(families, "uplink_member_up", { cluster_network: "oob", device: "mac:02:00:00:00:00:09" }), 0);
  t.is(value(families, "network_mtu_bytes", { network: "vlan100" }), 1500);
  t.is(value(families, "probe_success", { network: "vlan100", probe: "arp" }), 0);
  t.is(
    value(families, "probe_last_success_timestamp_seconds", { network: "vlan100", probe: "arp" }),
    Date.parse("2026-01-01T00:00:05Z") / 1000,
  );
  t.is(value(families, "fdb_entries", { network: "vlan100" }), 5);
  t.is(value(families, "fdb_entries", { network: "" }), 3);
  t.is(value(families, "bpf_map_entries", { map: "fdb" }), 3);
  t.is(value(families, "config_generation", { stage: "desired" }), 2);
  t.is(value(families, "config_generation", { stage: "applied" }), 1);
  t.is(value(families, "build_info", { version: "1.2.3", node: process.version, datapath: "tcx+peer" }), 1);
});

test("the uplink's VLANs are labelled with the networks that they are", async (t) => {
  const { sources, scrape } = make();
  sources.portList = [{ ...port("nic0", 2), role: "uplink", network: "" }];
  sources.counterList = [{ ...counters(2), vlans: [1, 100, 300].map((vlan) => ({ ...counters(2).vlans[0]!, vlan })) }];
  const untagged = { ...status.networks[0]!, name: "flat", type: "UntaggedNetwork", vlan: 0, probes: [] };
  sources.state = { ...status, networks: [...status.networks, untagged] };
  const families = await scrape();
  const rows = families
    .get("portwright_port_receive_packets_total")
    ?.samples.map((s) => `${s.labels.vlan}:${s.labels.network}`);
  t.deepEqual(rows, ["1:flat", "100:vlan100", "300:"]);
  sources.state = { ...status, networks: [] };
  const after = (await scrape())
    .get("portwright_port_receive_packets_total")
    ?.samples.map((s) => `${s.labels.vlan}:${s.labels.network}`);
  t.deepEqual(after, ["1:", "100:", "300:"]);
});

test("a trunk of very many VLANs shows the ones that were used", async (t) => {
  const { sources, scrape } = make();
  const quiet = { rxPackets: 0n, rxBytes: 0n, txPackets: 0n, txBytes: 0n };
  const vlans = Array.from({ length: 4094 }, (_, i) => ({ vlan: i + 1, ...quiet, ...(i === 41 && { txPackets: 1n }) }));
  sources.counterList = [{ ...counters(7), vlans }];
  const samples = (await scrape()).get("portwright_port_receive_packets_total")?.samples;
  t.deepEqual(
    samples?.map((s) => s.labels.vlan),
    ["42"],
  );
});

test("what the daemon counts appears where it belongs", async (t) => {
  const { meters, scrape } = make();
  meters.countCni("ADD", "success", 0.003);
  meters.countCni("ADD", "error", 0.003);
  meters.countCni("rm -rf", "error", 1);
  meters.countReconcile("unchanged", 0.002);
  meters.countProbe("vlan100", "icmp", "success", 0.0002);
  meters.countProbe("vlan100", "icmp", "no-icmp-reply", null);
  meters.countLinkFlap("pwveth1");
  meters.countOverrun();
  meters.countRejected("forbidden");
  meters.countDeleted("link");
  meters.setDrift(2);
  const families = await scrape();
  t.is(value(families, "cni_requests_total", { command: "ADD", result: "success" }), 1);
  t.is(value(families, "cni_requests_total", { command: "unknown", result: "error" }), 1);
  t.is(value(families, "cni_request_duration_seconds", { command: "ADD", le: "0.005" }), 2);
  t.is(value(families, "cni_request_duration_seconds", { command: "ADD", le: "0.002" }), 0);
  t.is(value(families, "reconcile_total", { result: "unchanged" }), 1);
  t.is(value(families, "probe_attempts_total", { network: "vlan100", probe: "icmp", result: "no-icmp-reply" }), 1);
  t.is(value(families, "probe_rtt_seconds", { probe: "icmp", le: "0.00025" }), 1);
  t.is(value(families, "link_flaps_total", { device: "pwveth1" }), 1);
  t.is(value(families, "netlink_overruns_total"), 1);
  t.is(value(families, "api_rejected_total", { reason: "forbidden" }), 1);
  t.is(value(families, "api_rejected_total", { reason: "too_large" }), 0);
  t.is(value(families, "gc_deleted_total", { kind: "link" }), 1);
  t.is(value(families, "drift_objects"), 2);
});

test("series of what has gone go too", async (t) => {
  const { meters, sources, scrape } = make();
  meters.countProbe("vlan100", "arp", "success", 0.001);
  meters.countLinkFlap("pwveth1");
  t.is(value(await scrape(), "link_flaps_total", { device: "pwveth1" }), 1);
  sources.portList = [port("pwveth2", 8)];
  sources.counterList = [counters(8)];
  sources.state = { ...status, networks: [] };
  const text = [...(await scrape())].map(([name, family]) => name + JSON.stringify(family)).join("\n");
  t.false(text.includes("pwveth1"));
  t.true(text.includes("pwveth2"));
  t.deepEqual((await scrape()).get("portwright_probe_attempts_total")?.samples, []);
});

test("an index that was given to another device gets that device's labels", async (t) => {
  const { sources, scrape } = make();
  await scrape();
  sources.portList = [port("other", 7)];
  const families = await scrape();
  t.is(value(families, "port_flood_packets_total", { device: "other" }), 4);
  t.is(value(families, "port_flood_packets_total", { device: "pwveth1" }), undefined);
});

test("moves of a network never fall when a port goes, and nothing is counted twice when a reading fails", async (t) => {
  const { sources, scrape, failed } = make();
  const moves = async () => value(await scrape(), "fdb_moves_total", { network: "vlan100" });
  sources.portList = [port("a", 1), port("b", 2)];
  sources.counterList = [
    { ...counters(1), fdbMoves: 10n },
    { ...counters(2), fdbMoves: 5n },
  ];
  t.is(await moves(), 15);
  const read = sources.counters.bind(sources);
  sources.counters = () => Promise.reject(new Error("EIO"));
  t.is(await moves(), undefined);
  t.deepEqual(failed, ["counters"]);
  sources.counters = read;
  t.is(await moves(), 15);
  sources.portList = [port("a", 1)];
  sources.counterList = [{ ...counters(1), fdbMoves: 11n }];
  t.is(await moves(), 16);
  sources.counterList = [{ ...counters(1), fdbMoves: 2n }]; // removed and made again between two scrapes
  t.is(await moves(), 18);
});

test("a source that fails takes only its own metrics with it", async (t) => {
  const { sources, scrape, failed } = make();
  sources.status = () => Promise.reject(new Error("x"));
  const families = await scrape();
  t.deepEqual(failed, ["status"]);
  t.deepEqual(families.get("portwright_network_up")?.samples, []);
  t.is(value(families, "port_flood_packets_total", { device: "pwveth1" }), 4);
});

test("scrapes at the same time share one reading; each later one reads anew", async (t) => {
  const { sources, registry } = make();
  const [a, b] = await Promise.all([registry.metrics(), registry.metrics()]);
  t.is(a, b);
  t.is(sources.reads, 1);
  await registry.metrics();
  t.is(sources.reads, 2);
});

test("families of thousands of series come whole, though they are written in parts", async (t) => {
  const { sources, scrape } = make();
  sources.portList = Array.from({ length: 900 }, (_, i) => port(`pw${i}`, i + 1));
  const drops = Object.fromEntries(DROP_REASONS.slice(1).map((r) => [r, 1n]));
  sources.counterList = sources.portList.map((p) => ({ ...counters(p.ifindex), drops }));
  const samples = (await scrape()).get("portwright_port_drops_total")?.samples ?? [];
  t.is(samples.length, 900 * 15);
  t.true(samples.every((s) => s.value === 1));
});

test("a metric asked for on its own answers as well", async (t) => {
  const { registry } = make();
  const text = await registry.getSingleMetricAsString("portwright_network_up");
  t.is(text.split("\n").at(-1), 'portwright_network_up{network="vlan100"} 1');
  const all = await registry.getMetricsAsJSON();
  t.is(all.length, Object.keys(catalogue).length);
});

test("every reason has a direction", (t) => {
  const out = DROP_REASONS.filter((r) => dropDirection(r) === "out");
  t.deepEqual(out, ["egress_vlan", "isolated", "mtu", "redirect", "no_port"]);
  t.is(dropDirection("port_down"), "both");
  t.is(dropDirection("constructor"), "in");
});

test("labels from outside cannot break a line or fill the store", async (t) => {
  t.is(label("a\nb\u0000c"), "a?b?c");
  t.is(label("x".repeat(1000)).length, 128);
  const { sources, scrape } = make();
  sources.portList = [port('we"ird\\\n', 7)];
  const families = await scrape();
  t.is(families.get("portwright_port_flood_packets_total")?.samples[0]?.labels.device, 'we\\"ird\\\\?');
});

test("label objects are kept as long as they are used", (t) => {
  const cache = new LabelCache();
  const first = cache.get("k", () => ({ a: "1" }));
  cache.sweep();
  t.is(
    cache.get("k", () => ({ a: "2" })),
    first,
  );
  cache.sweep();
  cache.sweep();
  t.not(
    cache.get("k", () => ({ a: "3" })),
    first,
  );
});

test("a part that comes back under an old id counts from nothing", (t) => {
  const sum = new MonotonicSum();
  sum.update([{ id: 1, group: "a", count: 10n }]);
  sum.update([]);
  t.deepEqual([...sum.update([{ id: 1, group: "a", count: 12n }])], [["a", 22n]]);
});

test("a monotonic sum forgets groups that are given up", (t) => {
  const sum = new MonotonicSum();
  sum.update([{ id: 1, group: "a", count: 3n }]);
  sum.keepGroups(new Set(["b"]));
  t.deepEqual([...sum.update([{ id: 1, group: "b", count: 4n }])], [["b", 1n]]);
});

test("the endpoint serves the registry in the text format", async (t) => {
  const { registry } = make();
  const started = await startTestApi();
  t.teardown(started.close);
  Object.assign(started.backend, { metrics: registry });
  for (const call of [started.http, client({ socketPath: started.api.addresses.read })]) {
    const answer = await call("GET", "/metrics");
    t.is(answer.status, 200);
    t.is(answer.headers["content-type"], "text/plain; version=0.0.4; charset=utf-8");
    t.is(parse(answer.text).size, Object.keys(catalogue).length);
  }
});
