/**
 * Whatever a caller sends: the plugin and the daemon answer in the form of CNI, live on, and keep nothing. Input is random
 * bytes, random variables, and configurations that are nearly right.
 */
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import test from "ava";
import fc from "fast-check";
import type { Link } from "../../daemon/kernel/kernel.ts";
import { NETNS_DIRECTORY } from "../../daemon/demo/lab.ts";
import { runProgram } from "../../daemon/demo/run-program.ts";
import { ownPlugin } from "../support/own-plugin.ts";
import { OOB, staticIpam, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";
import { recordFiles } from "../support/record-files.ts";

interface Call {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

const VERBS = ["ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION"] as const;
const MIB = 1 << 20;
/** Threads that delete links are started when others are busy, eight at most, and stay, each with its descriptors. */
const WARM_UP = 16;
/** Of links that go together one of them does the work, so that another may open its socket later. */
const REAPERS = 8;

/** what can stand where something else is expected */
const anything = fc.oneof(
  fc.constantFrom<unknown>(
    null,
    true,
    false,
    0,
    -1,
    1,
    4094,
    4095,
    1e99,
    0.5,
    "",
    "x",
    "../..",
    [],
    {},
    [null],
    "\u0000",
  ),
  fc.jsonValue({ maxDepth: 3 }),
);
const key = fc.constantFrom(
  ...["cniVersion", "name", "type", "bridge", "network", "vlan", "vlanTrunk", "mtu", "ipam", "dns", "prevResult"],
  ...["runtimeConfig", "args", "isGateway", "isDefaultGateway", "forceAddress", "ipMasq", "hairpinMode", "promiscMode"],
  ...["macspoofchk", "enabledad", "disableContainerInterface", "preserveDefaultVlan", "portIsolation", "managedTap"],
  ...["device", "gated", "ipMasqBackend"],
  ...["cni.dev/valid-attachments", "cni.dev/attachments"],
);
/** mostly right, with a few members replaced */
const nearly = fc
  .record({
    cniVersion: fc.constantFrom("0.1.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"),
    vlan: fc.constantFrom(undefined, 100),
    ipam: fc.constantFrom<object | undefined>(
      undefined,
      { type: "static", addresses: [{ address: "10.5.0.2/24" }] },
      { type: "static", addresses: [{ address: "fd05::2/64" }], routes: [{ dst: "::/0" }] },
    ),
    wrong: fc.oneof(fc.constant({}), fc.dictionary(key, anything, { maxKeys: 2 })),
  })
  .map(({ wrong, ...conf }) => ({ name: "fuzz", type: "portwright", bridge: "oob-br", ...conf, ...wrong }));
const deep = fc.integer({ min: 1, max: 5000 }).map((n) => `${"[".repeat(n)}${"]".repeat(n)}`);
const stdin = fc.oneof(
  { weight: 6, arbitrary: nearly.map((conf) => JSON.stringify(conf)) },
  { weight: 1, arbitrary: nearly.chain((conf) => cut(JSON.stringify(conf))) },
  { weight: 1, arbitrary: fc.string({ unit: "binary", maxLength: 200 }) },
  { weight: 1, arbitrary: deep },
);

function cut(text: string): fc.Arbitrary<string> {
  return fc.nat(text.length).map((at) => text.slice(0, at));
}

function mostly(usual: string, ...others: readonly fc.Arbitrary<string>[]): fc.Arbitrary<string> {
  return fc.oneof(
    { weight: 6, arbitrary: fc.constant(usual) },
    ...others.map((arbitrary) => ({ weight: 2, arbitrary })),
  );
}

const name = fc.oneof(fc.constantFrom("eth0", "net1", "lo", ""), fc.string({ maxLength: 20 }));
const environment = (pod: string) =>
  fc
    .record({
      CNI_COMMAND: mostly("ADD", fc.constantFrom(...VERBS), fc.constantFrom(...VERBS), name),
      CNI_CONTAINERID: mostly("fuzz", fc.constantFrom("", "..", "a/b", "x".repeat(5000)), name),
      CNI_NETNS: mostly(pod, fc.constantFrom("", "/", "/dev/zero", "/proc/1/ns/mnt", "relative")),
      CNI_IFNAME: mostly("eth0", name),
      CNI_PATH: mostly("/usr/lib/cni", fc.constantFrom("", "/nowhere:/usr/lib/cni")),
      CNI_ARGS: mostly("", fc.string({ maxLength: 60 })),
    })
    // A variable of a process ends at its first NUL.
    .map((env) => Object.fromEntries(Object.entries(env).map(([one, value]) => [one, value.replaceAll("\0", "")])));

test.serial("whatever is sent is answered in the form of CNI, and nothing is left of it", async (t) => {
  t.timeout(300_000);
  const h = await TestHost.start(t, { intent: OOB() });
  const plugin = await ownPlugin(h);
  const pod = await h.lab.host("pod");
  await warmUp(h);
  const before = await leftovers(h);
  let attached = 0;
  await fc.assert(
    fc.asyncProperty(environment(pod.path), stdin, async (env, text) => {
      const exit = await send(plugin, { env, stdin: text });
      if (env.CNI_COMMAND !== "ADD" || exit !== 0) return;
      attached++;
      t.is(await send(plugin, { env: { ...env, CNI_COMMAND: "DEL" }, stdin: text }), 0);
    }),
    { numRuns: 250, endOnFailure: true, includeErrorInReport: true },
  );
  t.true(attached > 5, `only ${attached} were attached: the input is too wrong to reach anything`);
  t.true(await leftLike(h, before), JSON.stringify([before, await leftovers(h)]));
  t.deepEqual(
    (await pod.namespace.links()).map((link) => link.name),
    ["lo"],
  );
  t.false(/"code":"INTERNAL"/.test(h.daemon.log), h.daemon.log);
});

test.serial("input of any size is answered at once", async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  const plugin = await ownPlugin(h);
  const pod = await h.lab.host("pod");
  await warmUp(h);
  const before = await leftovers(h);
  const env = { CNI_CONTAINERID: "big", CNI_NETNS: pod.path, CNI_IFNAME: "eth0", CNI_PATH: "/usr/lib/cni" };
  const whole = (size: number) =>
    JSON.stringify({ cniVersion: "1.0.0", name: "n", bridge: "oob-br", pad: "x".repeat(Math.max(0, size - 64)) });
  for (const size of [0, 1, 1000, 255 << 10, 257 << 10, MIB - 1, MIB, MIB + 1, 3 * MIB]) {
    for (const text of [
      "x".repeat(size),
      " ".repeat(size),
      "{".repeat(size),
      "\\u0000".repeat(size / 6),
      whole(size),
    ]) {
      for (const verb of ["ADD", "DEL", "VERSION"])
        await send(plugin, { env: { ...env, CNI_COMMAND: verb }, stdin: text });
    }
  }
  t.true(await leftLike(h, before), JSON.stringify([before, await leftovers(h)]));
});

/** The exit code. Fails if the answer is none of CNI's forms, or does not come. */
async function send(plugin: string, { env, stdin: text }: Call): Promise<unknown> {
  const { ended, stdout, stderr } = await runProgram(plugin, [], { env, input: text, timeoutMs: 30_000 });
  const sent = JSON.stringify({ env, stdin: text.slice(0, 2000) });
  if (ended !== 0 && ended !== 1) throw new Error(`ended by ${ended}: ${sent}`);
  if (env.CNI_COMMAND === "") return ended; // what the plugin is, on stderr
  const answer = stdout === "" ? null : (JSON.parse(stdout) as { code?: unknown; msg?: unknown });
  const told = typeof answer?.code === "number" && typeof answer.msg === "string" && answer.msg !== "";
  if ((ended === 1) !== told) throw new Error(`exit code ${ended} with ${stdout} ${stderr}: ${sent}`);
  if (answer?.code === 11 || answer?.code === 999) throw new Error(`${stdout}: ${sent}`);
  return ended;
}

interface Leftovers {
  readonly links: readonly string[];
  readonly namespaces: number;
  readonly records: readonly string[];
  readonly deletes: readonly string[];
  readonly descriptors: number;
}

/** What a request may leave behind: links, namespaces, records, queued deletions, descriptors. */
async function leftovers(h: TestHost): Promise<Leftovers> {
  const links = await h.host.namespace.links();
  return {
    links: links
      .filter((one) => !staysByDesign(one))
      .map((one) => one.name)
      .toSorted(),
    namespaces: readdirSync(NETNS_DIRECTORY).filter((one) => one.startsWith(`pwth${process.pid}-`)).length,
    records: recordFiles(h.runtime.stateDirectory),
    deletes: readdirSync(join(h.runtime.stateDirectory, "deletes")),
    descriptors: readdirSync(`/proc/${h.daemon.pid}/fd`).length,
  };
}

/** A bridge that belongs to no cluster network, and its gateways, stay as the stock plugin leaves them. */
function staysByDesign({ kind, name: link, alias }: Link): boolean {
  return (kind === "bridge" && link !== "oob-br") || /^portwright-local \S+ gateway /.test(alias);
}

/** Connections and threads of namespaces end a moment after the answer. */
async function leftLike(h: TestHost, before: Leftovers): Promise<boolean> {
  const same = async () => {
    const { descriptors, ...now } = await leftovers(h);
    const { descriptors: then, ...rest } = before;
    return descriptors <= then + REAPERS && isDeepStrictEqual(now, rest);
  };
  await until(same, 10_000).catch(() => {});
  return await same();
}

/** What is opened at the first request of its kind, and stays. */
async function warmUp(h: TestHost): Promise<void> {
  for (let round = 0; round < 2; round++) {
    const names = Array.from({ length: WARM_UP }, (_, n) => `warm${round}-${n}`);
    const pods = await Promise.all(names.map((one, n) => h.add(one, staticIpam(`fd05::99${n}/64`))));
    await Promise.all(pods.map((pod) => h.del(pod)));
    await Promise.all(pods.map(({ host }) => host.namespace.close()));
  }
}
