/** Driven by libcni, as runtimes do it: lists of plugins, cached results, every version that the library knows. */
import test, { type ExecutionContext } from "ava";
import type { LabHost } from "../../daemon/demo/lab.ts";
import { hasLibcni, Libcni, type LibcniAnswer, type LibcniCall } from "../support/libcni.ts";
import { OOB, TestHost } from "../support/test-host.ts";

const withLibcni = hasLibcni ? test : test.skip;
let libcni: Libcni;
test.before(async () => {
  if (hasLibcni) libcni = await Libcni.build();
});
test.after.always(() => libcni?.remove());

/** Debian's library; 1.1.0 is younger */
const VERSIONS = ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"] as const;
const IPAM = {
  ipam: {
    type: "static",
    addresses: [{ address: "10.7.0.2/24", gateway: "10.7.0.1" }],
    routes: [{ dst: "0.0.0.0/0" }],
    dns: { nameservers: ["10.7.0.53"] },
  },
};
const MAC = "02:12:34:56:78:9a";

/** how a result of that version says the address */
function addressIn(cniVersion: (typeof VERSIONS)[number]): object {
  const [address, gateway] = ["10.7.0.2/24", "10.7.0.1"];
  if (cniVersion < "0.3.0") return { ip4: { ip: address, gateway, routes: [{ dst: "0.0.0.0/0" }] } };
  const family = cniVersion < "1.0.0" ? { version: "4" } : {};
  return { ips: [{ ...family, address, gateway, interface: 2 }], routes: [{ dst: "0.0.0.0/0" }] };
}

interface Bed {
  readonly h: TestHost;
  list(cniVersion: string, own: object, ...others: readonly object[]): object;
  ask(pod: LabHost, verb: LibcniCall["verb"], list: object, more?: Partial<LibcniCall>): Promise<LibcniAnswer>;
}

async function bed(t: ExecutionContext): Promise<Bed> {
  const h = await TestHost.start(t, { intent: OOB() });
  const { socket: portwrightSocket, stateDirectory: portwrightStateDir } = h.runtime;
  const plugin = { type: "portwright", bridge: "oob-br", vlan: 100, portwrightSocket, portwrightStateDir };
  return {
    h,
    list: (cniVersion, own, ...others) => ({ cniVersion, name: "net", plugins: [{ ...plugin, ...own }, ...others] }),
    ask: (pod, verb, list, more) => libcni.call({ verb, pod, containerId: pod.name, list, ...more }),
  };
}

/** with what an answer that fails says */
function well(t: ExecutionContext, answer: LibcniAnswer, what: string): void {
  t.is(answer.msg, undefined, `${what}: ${answer.msg}`);
}

async function nothingLeft(t: ExecutionContext, h: TestHost, ...pods: readonly LabHost[]): Promise<void> {
  t.deepEqual(await h.get("/v1/attachments"), { attachments: [] });
  for (const pod of pods) t.is(await pod.namespace.link({ name: "eth0" }), null);
}

withLibcni("ADD, CHECK and DEL by libcni in every version, with addresses and on layer 2", async (t) => {
  const { h, list, ask } = await bed(t);
  const pods: LabHost[] = [];
  for (const cniVersion of VERSIONS) {
    for (const own of [{}, IPAM]) {
      const what = `${cniVersion} ${Object.keys(own).join()}`;
      const conf = list(cniVersion, own);
      const pod = await h.lab.host(`p${pods.length}`);
      pods.push(pod);
      const added = await ask(pod, "ADD", conf);
      well(t, added, what);
      t.like(added.result, { cniVersion, ...(own === IPAM ? addressIn(cniVersion) : {}) }, what);
      t.true((await pod.namespace.link({ name: "eth0" }))?.up, what);
      if (cniVersion >= "0.4.0") well(t, await ask(pod, "CHECK", conf), what);
      well(t, await ask(pod, "DEL", conf), what);
      well(t, await ask(pod, "DEL", conf), what);
    }
  }
  await nothingLeft(t, h, ...pods);
});

withLibcni("a chain with the stock tuning plugin: its changes are tolerated, and DEL goes through both", async (t) => {
  const { h, list, ask } = await bed(t);
  for (const cniVersion of VERSIONS.slice(2)) {
    const pod = await h.lab.host(`t${cniVersion}`);
    const tuning = { type: "tuning", mac: MAC, mtu: 1400, sysctl: { "net.ipv4.conf.eth0.arp_filter": "1" } };
    const conf = list(cniVersion, IPAM, tuning);
    const added = await ask(pod, "ADD", conf);
    well(t, added, cniVersion);
    t.like(added.result, { cniVersion, dns: { nameservers: ["10.7.0.53"] } });
    t.like(await pod.namespace.link({ name: "eth0" }), { mac: MAC, mtu: 1400, up: true });
    t.is(await pod.namespace.readSysctl("net/ipv4/conf/eth0/arp_filter"), "1");
    if (cniVersion >= "0.4.0") well(t, await ask(pod, "CHECK", conf), cniVersion);
    well(t, await ask(pod, "DEL", conf), cniVersion);
    await nothingLeft(t, h, pod);
  }
});

withLibcni("a place behind another plugin: what it said comes out again", async (t) => {
  const { h, list, ask } = await bed(t);
  const pod = await h.lab.host("behind");
  const whole = list("1.0.0", IPAM) as { plugins: object[] };
  const conf = { ...whole, plugins: [{ type: "loopback" }, ...whole.plugins] };
  const added = await ask(pod, "ADD", conf);
  well(t, added, "ADD");
  const { interfaces, ips } = added.result as {
    interfaces: { name: string }[];
    ips: { address: string; interface: number }[];
  };
  t.is(interfaces[0]?.name, "lo");
  t.is(interfaces.length, 4);
  const own = ips.find(({ address }) => address === "10.7.0.2/24");
  t.is(interfaces[own?.interface ?? -1]?.name, "eth0");
  well(t, await ask(pod, "CHECK", conf), "CHECK");
  well(t, await ask(pod, "DEL", conf), "DEL");
  await nothingLeft(t, h, pod);
});

withLibcni(
  "capabilities and arguments of the runtime arrive; a plugin behind that fails is undone by DEL",
  async (t) => {
    const { h, list, ask } = await bed(t);
    const pod = await h.lab.host("caps");
    const conf = list("1.0.0", { capabilities: { mac: true } });
    well(
      t,
      await ask(pod, "ADD", conf, {
        runtime: { mac: MAC },
        args: [
          ["IgnoreUnknown", "1"],
          ["K8S_POD_NAME", "x"],
        ],
      }),
      "ADD",
    );
    t.is((await pod.namespace.link({ name: "eth0" }))?.mac, MAC);
    well(t, await ask(pod, "DEL", conf), "DEL");

    const failing = list("1.0.0", IPAM, { type: "tuning", sysctl: { "net.ipv4.conf.eth0.no_such_key": "1" } });
    t.regex((await ask(pod, "ADD", failing)).msg ?? "", /no_such_key/);
    well(t, await ask(pod, "DEL", failing), "DEL");
    await nothingLeft(t, h, pod);
  },
);

withLibcni("libcni passes our errors on with their code, and reads our versions", async (t) => {
  const { h, list, ask } = await bed(t);
  const pod = await h.lab.host("errors");
  t.like(await ask(pod, "ADD", list("1.0.0", { bridge: "nowhere-br" })), { code: 100 });
  t.like(await ask(pod, "ADD", list("1.0.0", { vlan: 4095 })), { code: 7 });
  t.deepEqual((await ask(pod, "VERSION", list("1.0.0", {}))).result, [...VERSIONS, "1.1.0"]);
  await nothingLeft(t, h, pod);
});
