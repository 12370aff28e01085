/** Options that are switched on and off: what they make of the port, what contradicts what, detection of duplicates. */
import test from "ava";
import { decodeNetConf, parseNetConf } from "../../daemon/attach/netconf.ts";
import { PortwrightError } from "../../daemon/errors.ts";
import { membership } from "../../daemon/model/port.ts";
import { baseConf, cni, type CniJson, vlanNetwork } from "../support/attach-fakes.ts";
import { host, ipamConf, nothingLeft } from "../support/attach-checks.ts";

const networks = new Map([["vlan100", vlanNetwork("vlan100", 100)]]);
const parse = (extra: object) =>
  parseNetConf(decodeNetConf(JSON.stringify({ ...baseConf, vlan: 0, ...extra })), "", { networks });
const refusal = (extra: object): string => {
  try {
    parse(extra);
    return "";
  } catch (error) {
    return error instanceof PortwrightError ? `${error.cniCode} ${error.message}` : "";
  }
};
/** as `bridge vlan show` would tell */
const vlans = (extra: object) => {
  const { pvid, allowed, untagged } = membership(parse(extra).port.vlans, 1);
  return `${pvid}: ${allowed} (${untagged})`;
};

const TENANT = "fd00::2/64";
const v6 = { ips: [{ address: TENANT }, { address: "10.0.0.2/24" }], routes: [], dns: {} };

test("preserveDefaultVlan leaves VLAN 1 untagged on the port, and as its PVID only where no other takes that", (t) => {
  const preserveDefaultVlan = true;
  t.is(vlans({ vlan: 100 }), "100: 100 (100)");
  t.is(vlans({ vlan: 100, preserveDefaultVlan: false }), "100: 100 (100)");
  t.is(vlans({ vlan: 100, preserveDefaultVlan }), "100: 1,100 (1,100)");
  t.is(vlans({ vlan: 1, preserveDefaultVlan }), "1: 1 (1)");
  t.is(vlans({ preserveDefaultVlan }), "1: 1 (1)");
  const vlanTrunk = [{ id: 200 }];
  t.is(vlans({ vlanTrunk }), "0: 200 ()");
  t.is(vlans({ vlanTrunk, preserveDefaultVlan }), "1: 1,200 (1)");
  t.is(vlans({ vlanTrunk, vlan: 100, preserveDefaultVlan }), "100: 1,100,200 (1,100)");
  t.is(vlans({ vlanTrunk, vlan: 1, preserveDefaultVlan }), "1: 1,200 (1)");
});

test("what contradicts each other is refused", (t) => {
  t.regex(refusal({ preserveDefaultVlan: true, vlanTrunk: [{ minID: 1, maxID: 9 }] }), /^7 .*tagged/);
  t.regex(
    refusal({ preserveDefaultVlan: true, network: "vlan100", bridge: undefined, vlan: undefined }),
    /^7 .*network/,
  );
  t.regex(refusal({ hairpinMode: true, promiscMode: true }), /^7 .*contradicts hairpinMode/);
  t.regex(refusal({ disableContainerInterface: true, ipam: { type: "static" } }), /^7 .*contradicts ipam/);
  t.is(refusal({ disableContainerInterface: true, ipam: {} }), "");
  for (const key of ["preserveDefaultVlan", "hairpinMode", "disableContainerInterface", "enabledad", "macspoofchk"])
    t.regex(refusal({ [key]: "yes" }), new RegExp(`^7 ${key} must be true or false`));
});

test("VLAN 1 that was kept is on record, and CHECK notices when the configuration changes", async (t) => {
  const fake = host(t);
  const conf = { ...baseConf, preserveDefaultVlan: true };
  const before = await fake.started();
  const { json: prevResult } = await cni(before, { command: "ADD", conf });
  const service = await fake.started();
  t.is((await cni(service, { command: "CHECK", conf: { ...conf, prevResult } })).stdout, "");
  const changed = await cni(service, { command: "CHECK", conf: { ...baseConf, prevResult } });
  t.is(changed.json.msg, "c1/eth0: it has VLAN 100 and VLAN 1 kept, not VLAN 100");
});

test("disableContainerInterface leaves the container's end down, and CHECK does not mind", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  const conf = { ...baseConf, disableContainerInterface: true };
  const { json: prevResult } = await cni(service, { command: "ADD", conf });
  t.false(fake.namespaces.get("/ns/a")?.links[0]?.up);
  t.is((await cni(service, { command: "CHECK", conf: { ...conf, prevResult } })).stdout, "");
});

test("enabledad waits until the kernel knows of no duplicate; without it nobody is asked", async (t) => {
  const fake = host(t);
  fake.ipamResult = v6;
  const service = await fake.started();
  const added = cni(service, { command: "ADD", conf: { ...ipamConf, enabledad: true } });
  const address = await until(() => fake.namespaces.get("/ns/a")?.addresses[0]);
  t.is(address.flags, 0x40, "tentative");
  t.is(fake.namespaces.get("/ns/a")?.sysctls.get("net/ipv6/conf/eth0/accept_dad"), "1");
  t.is(await Promise.race([added, settled(200)]), "waits");
  address.flags = 0;
  t.is((await added).exitCode, 0);
  await cni(service, { command: "DEL", conf: ipamConf });
  fake.namespaces.get("/ns/a")?.sysctls.clear();
  t.is((await cni(service, { command: "ADD", conf: ipamConf })).exitCode, 0);
  t.is(fake.namespaces.get("/ns/a")?.sysctls.get("net/ipv6/conf/eth0/accept_dad"), undefined);
});

test("a duplicate address is an error, and so is one that somebody removes; all is undone", async (t) => {
  const fake = host(t);
  fake.ipamResult = v6;
  const service = await fake.started();
  const conf = { ...ipamConf, enabledad: true };
  const netns = fake.namespaces.get("/ns/a");
  const duplicate = cni(service, { command: "ADD", conf });
  (await until(() => netns?.addresses[0])).flags = 0x48;
  const told = (await duplicate) as { json: CniJson };
  t.like(told.json, { code: 107, msg: "the IPv6 address fd00::2 is used by another station already" });
  nothingLeft(t, fake, service);
  const removed = cni(service, { command: "ADD", conf });
  await until(() => netns?.addresses[1]);
  netns?.addresses.splice(0);
  t.like((await removed).json, { code: 107 });
  nothingLeft(t, fake, service);
});

async function until<T>(look: () => T | undefined): Promise<{ -readonly [K in keyof T]: T[K] }> {
  for (;;) {
    const found = look();
    if (found !== undefined) return found;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const settled = (ms: number) => new Promise((resolve) => setTimeout(() => resolve("waits"), ms));
