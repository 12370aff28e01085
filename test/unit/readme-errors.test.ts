// README against the code: its table of errors, the daemon's help, and the catalogue of metrics.
import { readFileSync } from "node:fs";
import path from "node:path";
import test from "ava";
import { countKernelWrites } from "../../daemon/api/metrics/kernel-writes.ts";
import { createMetrics } from "../../daemon/api/metrics/registry.ts";
import type { MetricSources } from "../../daemon/api/metrics/sources.ts";
import { commands } from "../../daemon/cli/commands.ts";
import { errorTable } from "../../daemon/errors.ts";
import { HELP } from "../../daemon/settings.ts";

const root = path.join(import.meta.dirname, "../..");
const readme = readFileSync(path.join(root, "README.md"), "utf8");
const section = (title: string) => readme.split(`\n${title}\n`)[1]?.split(/\n##+ /)[0] ?? "";

/** Names alone: no source is read for them. */
function metricNames(): string[] {
  const { registry } = createMetrics({ sources: {} as MetricSources, version: "", onError: () => {} });
  countKernelWrites(registry, { writes: { netlink: 0, bpf: 0 } });
  return registry.getMetricsAsArray().map(({ name }) => name);
}

test("README's table of errors is the errors' own table, row by row", (t) => {
  const rows = [...section("## Errors").matchAll(/^\| `([A-Z_]+)` \| (\d+) \| (\d+) \| (.+) \|$/gm)];
  const said = rows.map(([, code, status, cni, help = ""]) => ({
    code,
    status: Number(status),
    cni: Number(cni),
    help: help.replaceAll("\\<", "<"),
  }));
  t.deepEqual(
    said,
    Object.entries(errorTable).map(([code, { status, cni, help }]) => ({ code, status, cni, help })),
  );
});

test("README says of every CNI code that a runtime can get what caused it and what to do, and of no other", (t) => {
  const rows = [...section("### CNI codes").matchAll(/^\| (\d+) \| (.+) \| (.+) \|$/gm)];
  const shim = readFileSync(path.join(root, "native/shim/main.c"), "utf8");
  const said = shim.matchAll(/^ {2}CODE_\w+ = (\d+),$/gm);
  const codes = [...Object.values(errorTable).map(({ cni }) => cni), ...[...said].map(([, code]) => Number(code))];
  t.true(codes.length > Object.keys(errorTable).length, "the plugin's own codes are found");
  t.deepEqual(
    rows.map(([, code]) => Number(code)),
    [...new Set(codes)].toSorted((a, b) => a - b),
  );
});

test("README shows the daemon's help as it is", (t) => {
  t.true(readme.includes(`\`\`\`\n${HELP}\`\`\`\n`));
});

test("README shows the help of attach as it is, and names its companions", (t) => {
  t.true(readme.includes(`\`\`\`\n${commands["attach"]?.help}\`\`\`\n`));
  for (const name of ["ports", "open", "detach", "gc"]) t.true(readme.includes(`portwright ${name}`), name);
});

test("README's catalogue names every metric, and no other", (t) => {
  const cells = [...section("### Metrics").matchAll(/^\| (`[^|]+) \|/gm)].map((match) => match[1] ?? "");
  const said = cells.flatMap((cell) => [...cell.matchAll(/`(\w+)`/g)].map((match) => `portwright_${match[1]}`));
  t.deepEqual(said.toSorted(), metricNames().toSorted());
});

test("the dashboard asks for metrics that exist, by labels that their catalogue has", (t) => {
  const dashboard = readFileSync(path.join(root, "config/dashboard.json"), "utf8");
  t.notThrows(() => JSON.parse(dashboard));
  const known = new Set(metricNames().flatMap((name) => [name, `${name}_bucket`, `${name}_sum`, `${name}_count`]));
  const asked = new Set(dashboard.match(/portwright_\w+/g));
  t.true(asked.size >= 10, `only ${asked.size} metrics`);
  t.deepEqual(
    [...asked].filter((name) => !known.has(name)),
    [],
  );
  const labels = new Set(
    [...section("### Metrics").matchAll(/^\| `[^|]+ \| ([\w, ]*) \|/gm)].flatMap((match) =>
      (match[1] ?? "").split(", "),
    ),
  );
  const grouped = [...dashboard.matchAll(/\b(?:by|without) ?\(([\w, ]+)\)/g)].flatMap((m) => (m[1] ?? "").split(", "));
  const foreign = new Set(["le", "instance", "job"]);
  t.deepEqual(
    grouped.filter((label) => !labels.has(label) && !foreign.has(label)),
    [],
  );
});
