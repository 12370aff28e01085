// Files to intent: the forms that are read, the schemas as files, and whatever else a file may hold.
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test from "ava";
import { Ajv } from "ajv";
import fc from "fast-check";
import { stringify } from "yaml";
import { errorTable, PortwrightError } from "../../daemon/errors.ts";
import { IntentErrors, loadIntent, parseIntent } from "../../daemon/intent/intent.ts";
import { jsonFault } from "../../daemon/intent/json-fault.ts";
import { kindSchemas, schemaFiles } from "../../daemon/intent/schemas/index.ts";

const host = { nodeName: "node1", nodeLabels: { "network.example.com/rack": "a" } };
const config = (name: string): string => join(import.meta.dirname, "../../config", name);

test("the demo's intent: an uplink, two VLANs, an untagged network and a trunk", async (t) => {
  const { clusterNetworks, vlanConfigs, networks } = await loadIntent([config("demo.yaml")], host);
  t.deepEqual([...clusterNetworks.keys()], ["oob"]);
  t.like(vlanConfigs.get("oob")?.uplink, { nics: ["uplink0"], mtu: 1500, nativeVlan: 1 });
  t.deepEqual(
    [...networks.values()].map((n) => [n.name, n.type, n.vlan, String(n.trunk), n.route?.mode]),
    [
      ["vlan100", "L2VlanNetwork", 100, "", "manual"],
      ["vlan200", "L2VlanNetwork", 200, "", "manual"],
      ["untagged", "UntaggedNetwork", 0, "", "manual"],
      ["trunk", "L2VlanTrunkNetwork", 0, "100,200", undefined],
    ],
  );
});

test("the default intent is valid and wants nothing; what it shows in comments is valid too", async (t) => {
  const { clusterNetworks, networks } = await loadIntent([config("default.yaml")], host);
  t.is(clusterNetworks.size + networks.size, 0);
  const text = await readFile(config("default.yaml"), "utf8");
  const shown = text.slice(text.indexOf("#   apiVersion")).replace(/^# {0,3}/gm, "");
  const intent = parseIntent(shown, "shown.yaml", host);
  t.deepEqual([...intent.networks.keys()], ["vlan100"]);
  t.is(intent.vlanConfigs.get("vm")?.uplink.nics[0], "enp1s0");
});

test("Harvester's forms are read as they are", async (t) => {
  const { vlanConfigs, networks } = await loadIntent([config("examples/harvester.yaml")], host);
  t.like(vlanConfigs.get("oob")?.uplink, { nics: ["enp2s0"], mtu: 9000, txQueueLength: -1, nativeVlan: 1 });
  t.deepEqual(
    [...networks.values()].map((n) => [n.name, n.clusterNetwork, n.type, n.vlan, String(n.trunk), n.route]),
    [
      [
        "default/vlan100",
        "oob",
        "L2VlanNetwork",
        100,
        "",
        { mode: "manual", cidr: "10.100.0.0/24", gateway: "10.100.0.1" },
      ],
      ["tenants/vlan200", "oob", "L2VlanNetwork", 200, "", { mode: "auto", serverAddress: "10.200.0.2" }],
      ["default/untagged", "oob", "UntaggedNetwork", 0, "", undefined],
      ["default/trunk", "oob", "L2VlanTrunkNetwork", 0, "100,200-210", undefined],
    ],
  );
});

test("a VlanConfig for other hosts is left out, its cluster network stays", async (t) => {
  const elsewhere = { nodeName: "node2", nodeLabels: { "network.example.com/rack": "b" } };
  const { clusterNetworks, vlanConfigs } = await loadIntent([config("examples/harvester.yaml")], elsewhere);
  t.is(clusterNetworks.size, 1);
  t.is(vlanConfigs.size, 0);
});

test("a bond's mode by number and by name, several NICs", (t) => {
  const read = (mode: unknown): string | undefined => {
    const docs = [
      { apiVersion: "network.harvesterhci.io/v1beta1", kind: "ClusterNetwork", metadata: { name: "a" } },
      {
        apiVersion: "network.harvesterhci.io/v1beta1",
        kind: "VlanConfig",
        metadata: { name: "v" },
        spec: { clusterNetwork: "a", uplink: { nics: ["x", "y"], bondOptions: { mode } } },
      },
    ];
    const text = docs.map((d) => stringify(d)).join("---\n");
    return parseIntent(text, "t.yaml", host).vlanConfigs.get("a")?.uplink.bond.mode;
  };
  const names = ["balance-rr", "active-backup", "balance-xor", "broadcast", "802.3ad", "balance-tlb", "balance-alb"];
  t.deepEqual(
    names.map((_, number) => read(number)),
    names,
  );
  t.deepEqual(names.map(read), names);
  t.is(read(""), "active-backup");
});

test("what a cluster adds to a resource is read and not used", (t) => {
  const text = stringify({
    apiVersion: "network.harvesterhci.io/v1beta1",
    kind: "ClusterNetwork",
    metadata: {
      name: "mgmt",
      uid: "e5d5",
      resourceVersion: "12",
      generation: 3,
      creationTimestamp: null,
      finalizers: ["wrangler.cattle.io/x"],
      ownerReferences: [{ kind: "Node" }],
      managedFields: [{ manager: "x" }],
    },
    status: { conditions: [{ type: "ready", status: "True" }] },
  });
  t.true(parseIntent(text, "t.yaml", host).clusterNetworks.has("mgmt"));
});

test("files and directories are read together, in order of name; references cross files", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "portwright-intent-"));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await mkdir(join(dir, "sub.yaml"));
  await writeFile(
    join(dir, "b.yaml"),
    "apiVersion: portwright.io/v1alpha1\nkind: Network\nmetadata: {name: n}\nspec: {clusterNetwork: oob, type: UntaggedNetwork}\n",
  );
  await writeFile(
    join(dir, "a.json"),
    '{"apiVersion": "network.harvesterhci.io/v1beta1", "kind": "ClusterNetwork", "metadata": {"name": "oob"}}',
  );
  await writeFile(join(dir, ".hidden.yaml"), "not: read");
  await writeFile(join(dir, "notes.txt"), "not read");
  const error = await t.throwsAsync(loadIntent([dir], host), { instanceOf: IntentErrors });
  t.is(error?.code, "INTENT_FILE");
  await rm(join(dir, "sub.yaml"), { recursive: true });
  const intent = await loadIntent([dir], host);
  t.is(intent.networks.get("n")?.place.file, join(dir, "b.yaml"));
  t.deepEqual([...intent.clusterNetworks.keys()], ["oob"]);
});

test("a file that is missing or not UTF-8 is an error of its own, beside the errors of the others", async (t) => {
  const dir = await mkdtemp(join(tmpdir(), "portwright-intent-"));
  t.teardown(() => rm(dir, { recursive: true, force: true }));
  await writeFile(join(dir, "latin.yaml"), Buffer.from([0x61, 0x3a, 0x20, 0xe9]));
  await writeFile(join(dir, "bad.yaml"), "kind: X\n");
  const paths = ["missing.yaml", "latin.yaml", "bad.yaml"].map((name) => join(dir, name));
  const error = await t.throwsAsync(loadIntent(paths, host), { instanceOf: IntentErrors });
  const codes = error?.errors.map((e) => e.code).sort();
  t.deepEqual(codes, ["INTENT_FILE", "INTENT_SYNTAX", "INTENT_UNKNOWN_KIND"]);
  t.is(error?.toString().split("\n").length, 3);
});

// ---- schemas as files -------------------------------------------------------------------------------------------------

test("config/schemas holds the schemas that the daemon checks with", async (t) => {
  for (const [kind, schema] of Object.entries(kindSchemas)) {
    const file = config(join("schemas", schemaFiles[kind as keyof typeof schemaFiles]));
    // UPDATE_SCHEMAS=1 writes them anew after a change.
    if (process.env["UPDATE_SCHEMAS"]) await writeFile(file, `${JSON.stringify(schema, null, 2)}\n`);
    t.deepEqual(JSON.parse(await readFile(file, "utf8")), JSON.parse(JSON.stringify(schema)));
    t.notThrows(() => new Ajv({ strict: false, validateFormats: false }).compile(schema));
  }
});

// ---- properties -------------------------------------------------------------------------------------------------------

const label = fc.stringMatching(/^[a-z0-9]([-a-z0-9]{0,10}[a-z0-9])?$/);
const vid = fc.integer({ min: 1, max: 4094 });
const item = fc.oneof(
  vid.map((id) => ({ id })),
  fc.tuple(vid, vid).map(([a, b]) => ({ minID: Math.min(a, b), maxID: Math.max(a, b) })),
);

test("a Network and the same network as an attachment definition mean the same", (t) => {
  const shape = fc.oneof(
    vid.map((vlan) => ({ type: "L2VlanNetwork", vlan })),
    fc.constant({ type: "UntaggedNetwork", vlan: 0 }),
    fc.array(item, { minLength: 1, maxLength: 5 }).map((trunk) => ({ type: "L2VlanTrunkNetwork", vlan: 0, trunk })),
  );
  fc.assert(
    fc.property(label, label, shape, fc.boolean(), (cn, name, { type, vlan, ...more }, portIsolation) => {
      const trunk = "trunk" in more ? more.trunk : undefined;
      const bridgeConfig = {
        cniVersion: "0.3.1",
        type: "bridge",
        bridge: `${cn}-br`,
        vlan,
        portIsolation,
        ...(trunk ? { vlanTrunk: trunk } : {}),
      };
      const prefix = "network.harvesterhci.io";
      const text = [
        { apiVersion: `${prefix}/v1beta1`, kind: "ClusterNetwork", metadata: { name: cn } },
        {
          apiVersion: "portwright.io/v1alpha1",
          kind: "Network",
          metadata: { name },
          spec: { clusterNetwork: cn, type, vlan, portIsolation, ...(trunk ? { trunk } : {}) },
        },
        {
          apiVersion: "k8s.cni.cncf.io/v1",
          kind: "NetworkAttachmentDefinition",
          metadata: { name, namespace: "ns", labels: { [`${prefix}/type`]: type, [`${prefix}/vlan-id`]: `${vlan}` } },
          spec: { config: JSON.stringify(bridgeConfig, null, vlan % 3) },
        },
      ]
        .map((d) => stringify(d, { version: "1.1" }))
        .join("---\n");
      const { networks } = parseIntent(text, "t.yaml", host);
      const { place: _1, name: _2, trunk: ours, ...short } = networks.get(name) ?? t.fail();
      const { place: _3, name: _4, trunk: theirs, ...long } = networks.get(`ns/${name}`) ?? t.fail();
      t.deepEqual(short, long);
      t.true(ours.equals(theirs));
    }),
    { numRuns: 100 },
  );
});

test("whatever a file holds, what is thrown is coded, placed and of one line each", async (t) => {
  const valid = await Promise.all(["demo.yaml", "examples/harvester.yaml"].map((f) => readFile(config(f), "utf8")));
  const junk = fc.constantFrom(
    "\t",
    "\0",
    '"',
    "'",
    "{",
    "]",
    "- ",
    ": ",
    "&a ",
    "*a",
    "!!",
    "? ",
    "|",
    "%",
    "---\n",
    "\u2028",
    "é",
    "0x",
    "~",
    "__proto__: ",
    "<<: ",
  );
  const broken = fc
    .tuple(
      fc.constantFrom(...valid),
      fc.array(fc.tuple(fc.double({ min: 0, max: 1, noNaN: true }), fc.nat(6), fc.oneof(junk, fc.string())), {
        minLength: 1,
        maxLength: 5,
      }),
    )
    .map(([text, edits]) =>
      edits.reduce((now, [where, cut, insert]) => {
        const at = Math.floor(where * now.length);
        return now.slice(0, at) + insert + now.slice(at + cut);
      }, text),
    );
  const anything = fc.oneof(
    broken,
    fc.string({ unit: "binary" }),
    fc.jsonValue().map((v) => stringify(v)),
    fc
      .record({
        apiVersion: fc.constant("portwright.io/v1alpha1"),
        kind: fc.constant("Network"),
        metadata: fc.jsonValue(),
        spec: fc.jsonValue(),
      })
      .map((v) => stringify(v)),
    fc
      .record({
        apiVersion: fc.constant("k8s.cni.cncf.io/v1"),
        kind: fc.constant("NetworkAttachmentDefinition"),
        metadata: fc.constant({ name: "n" }),
        spec: fc.record({ config: fc.oneof(fc.json(), fc.string()) }),
      })
      .map((v) => stringify(v)),
  );
  fc.assert(
    fc.property(anything, (text) => {
      try {
        parseIntent(text, "t.yaml", host);
      } catch (error) {
        if (!(error instanceof IntentErrors)) throw error;
        for (const one of error.errors) {
          t.true(
            (one instanceof PortwrightError && one.code in errorTable && one.code.startsWith("INTENT_")) ||
              one.code === "NIC_SHARED",
          );
          t.true(one.place !== undefined && one.place.line >= 1 && one.place.column >= 1);
          t.false(/[\n\r\0]/.test(one.toString()), one.toString());
        }
      }
    }),
    { numRuns: 600 },
  );
});

test("jsonFault says yes and no as JSON.parse does, and where", (t) => {
  const isJson = (text: string): boolean => {
    try {
      JSON.parse(text);
      return true;
    } catch {
      return false;
    }
  };
  const edited = fc
    .tuple(
      fc.json(),
      fc.nat(),
      fc.nat(2),
      fc.constantFrom("", ",", "]", "}", "{", '"', "0", "-", "\\", " ", "\t", "\n", ":", "1e", "null", "\u00a0"),
    )
    .map(([text, at, cut, insert]) => {
      const i = at % (text.length + 1);
      return text.slice(0, i) + insert + text.slice(i + cut);
    });
  fc.assert(
    fc.property(fc.oneof(edited, fc.json(), fc.string()), (text) => {
      t.is(jsonFault(text) === null, isJson(text), text);
    }),
    { numRuns: 3000 },
  );
  t.deepEqual(jsonFault('{"a":1,}'), { offset: 7, reason: "expected a name in double quotes" });
  t.deepEqual(jsonFault("[1 2]"), { offset: 3, reason: "expected a comma or ]" });
  t.deepEqual(jsonFault("{} x"), { offset: 3, reason: "expected nothing more" });
  t.deepEqual(jsonFault(""), { offset: 0, reason: "expected a value" });
});

test("JSON over several lines of a block keeps its places", (t) => {
  const text = `apiVersion: k8s.cni.cncf.io/v1
kind: NetworkAttachmentDefinition
metadata:
  name: n
spec:
  config: |

    {
      "type": "bridge",
      "vlan": 5000
    }
`;
  const error = t.throws(() => parseIntent(text, "t.yaml", host), { instanceOf: IntentErrors });
  t.deepEqual(error?.place, { file: "t.yaml", line: 10, column: 15 });
});
