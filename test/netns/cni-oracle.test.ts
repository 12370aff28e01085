/**
 * The CNI plugin against the stock bridge plugin, in a table of configurations and environments: exit code, error code,
 * result, what is in the container, on the host and with IPAM after each verb. Each difference stands in the table.
 */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import test from "ava";
import { Limiter } from "../../daemon/async/limiter.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { GENERAL_DIFFERENCES, ORACLE_ROWS, type OracleRow } from "../peers/cni-table.ts";
import { type Found, type OracleSide, type Outcome, play } from "../support/oracle.ts";
import { ownPlugin } from "../support/own-plugin.ts";
import { OOB, TestHost } from "../support/test-host.ts";

const STOCK = "/usr/lib/cni/bridge";
const withStock = existsSync(STOCK) ? test.serial : test.skip;
/** rows at a time */
const AT_ONCE = 4;

const WHERE: readonly { readonly where: "managed" | "local"; readonly bridge: (row: number) => string }[] = [
  { where: "managed", bridge: () => "oob-br" },
  { where: "local", bridge: (row) => `ours${row}` },
];
for (const { where, bridge } of WHERE) {
  withStock(
    `on a ${where} bridge the plugin does what the stock one does, but for the differences that are listed`,
    async (t) => {
      t.timeout(300_000);
      const h = await TestHost.start(t, { intent: OOB() });
      const stockHost = await h.lab.host("stock");
      const plugin = await ownPlugin(h);
      const common = { kernel: nativeKernel(), lab: h.lab };
      const ours: OracleSide = {
        ...common,
        host: h.host,
        directory: join(h.directory, "ours"),
        command: [plugin],
        bridge,
      };
      const theirs: OracleSide = {
        ...common,
        host: stockHost,
        directory: join(h.directory, "theirs"),
        command: ["nsenter", `--net=${stockHost.path}`, STOCK],
        bridge: (row) => `stock${row}`,
      };
      const limiter = new Limiter(AT_ONCE);
      const wrong: string[] = [];
      await Promise.all(
        ORACLE_ROWS.filter(({ only = where }) => only === where).map((row, index) =>
          limiter.run(async () => {
            const [mine, stock] = await Promise.all([play(ours, row, index * 2), play(theirs, row, index * 2 + 1)]);
            wrong.push(...unexplained(row, mine, stock));
          }),
        ),
      );
      t.deepEqual(wrong, []);
      t.deepEqual(await h.get("/v1/attachments"), { attachments: [] });
      const links = (await h.host.namespace.links()).filter(({ name }) => name.startsWith("pw"));
      t.deepEqual(
        links.map(({ name }) => name),
        [],
      );
    },
  );
}

test("every row has a name of its own, and every difference a reason", (t) => {
  t.true(ORACLE_ROWS.length >= 100);
  t.is(new Set(ORACLE_ROWS.map(({ name }) => name)).size, ORACLE_ROWS.length);
  for (const { name, differs = {} } of ORACLE_ROWS)
    for (const reason of Object.values(differs)) t.regex(reason, /.{10}/, name);
});

/** Differences without a reason, and reasons without a difference. */
function unexplained(row: OracleRow, ours: Outcome, theirs: Outcome): string[] {
  const { differs = {} } = row;
  const used = new Set<string>();
  const found: string[] = [];
  for (const [step, mine] of ours) {
    const stock = theirs.get(step) ?? {};
    if (isDeepStrictEqual(mine, stock)) continue;
    const key = [step, step.replace(/^\d+ /, ""), "all"].find((place) => place in differs);
    if (key !== undefined) used.add(key);
    else if (!GENERAL_DIFFERENCES.some(({ covers }) => covers(step, mine, stock, row)))
      found.push(`${row.name}: ${step}: ${difference(mine, stock)}`);
  }
  const stale = Object.keys(differs).filter((key) => !used.has(key));
  return [...found, ...stale.map((key) => `${row.name}: ${key} does not differ`)];
}

function difference(ours: Found, theirs: Found): string {
  const places = [...new Set([...Object.keys(ours), ...Object.keys(theirs)])];
  const apart = places.filter((place) => !isDeepStrictEqual(ours[place], theirs[place]));
  return apart
    .map((place) => `${place} ours ${JSON.stringify(ours[place])}, theirs ${JSON.stringify(theirs[place])}`)
    .join("; ");
}
