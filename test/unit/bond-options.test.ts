// Options of a bond as intent has them: each by itself, and together; each refusal at its place.
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import test from "ava";
import { stringify } from "yaml";
import { parseIntent } from "../../daemon/intent/intent.ts";
import { bondData, bondModes, bondOptions } from "../../daemon/model/bond-options.ts";
import { packageRoot } from "../../daemon/package-files.ts";
import type { BondOptions } from "../../daemon/model/resources.ts";
import { bondOptionsPage } from "../peers/bond-options-page.ts";
import { faults, vc } from "../peers/intent-text.ts";

const NICS = ["a", "b", "mac:02:00:5e:00:00:01"];

function text(options: Readonly<Record<string, unknown>>, linkAttributes = {}): string {
  return vc(
    stringify({ spec: { clusterNetwork: "oob", uplink: { nics: NICS, linkAttributes, bondOptions: options } } }),
  );
}
function read(options: Readonly<Record<string, unknown>>): BondOptions | undefined {
  const host = { nodeName: "n", nodeLabels: {} };
  return parseIntent(text(options), "t.yaml", host).vlanConfigs.get("oob")?.uplink.bond;
}

test("without options: active-backup, a look at the carrier each 100 ms, the kernel's defaults for the rest", (t) => {
  const bond = read({});
  t.is(bond?.mode, "active-backup");
  t.like(bond?.data, { mode: 1, miimon: 100, arpInterval: 0, numPeerNotif: 1, failOverMac: 0 });
  t.deepEqual(bond?.asked, []);
  t.is(read({ miimon: -1 })?.data["miimon"], 100);
  t.false("lacpRate" in (bond?.data ?? {}), "what the mode refuses is not asked for");
});

test("choices by name and by number, switches in every spelling, addresses in one form", (t) => {
  const lacp = { mode: 4, lacpRate: 1, xmitHashPolicy: "vlan+srcmac", lacpActive: "off", allSlavesActive: true };
  t.like(read(lacp)?.data, { mode: 4, lacpRate: 1, xmitHashPolicy: 5, lacpActive: false, allSlavesActive: 1 });
  t.like(read({ ...lacp, lacpRate: "fast", lacpActive: 0 })?.data, { lacpRate: 1, lacpActive: false });
  const arp = { arpInterval: 500, arpIpTargets: ["10.0.0.1", "10.0.0.2"], nsIp6Targets: ["2001:DB8:0::1"] };
  t.like(read(arp)?.data, {
    miimon: 0,
    arpInterval: 500,
    arpIpTarget: "10.0.0.1,10.0.0.2",
    nsIp6Target: "2001:db8::1",
  });
  t.false("updelay" in (read(arp)?.data ?? {}), "delays are counted in miimons");
  t.is(read({ numGratArp: 3 })?.data["numPeerNotif"], 3);
  t.is(read({ primary: NICS[2] })?.primary, NICS[2]);
});

/** what is tried, options, where: the path's words on the line, words of the message */
const refusals: readonly (readonly [Readonly<Record<string, unknown>>, RegExp, object?])[] = [
  [{ mode: "lacp" }, /mode must be one of balance-rr, .*, or its number, 0 to 6, not "lacp"/],
  [{ mode: 7 }, /mode must be one of/],
  [{ speed: 1 }, /bondOptions\.speed is not a known field; known here: mode, primary, miimon/],
  [{ miimon: -2 }, /miimon must be -1 or more/],
  [{ miimon: "100" }, /miimon must be -1 or more, not "100"/],
  [{ resendIgmp: 256 }, /resendIgmp must be 0 to 255/],
  [{ mode: 4, adUserPortKey: 1024 }, /adUserPortKey must be 0 to 1023/],
  [{ mode: 4, adActorSysPrio: 0 }, /adActorSysPrio must be 1 to 65535/],
  [{ mode: 4, adActorSystem: "01:00:5e:00:00:01" }, /adActorSystem must be a MAC address|be a MAC address/],
  [{ mode: 4, lacpRate: "medium" }, /lacpRate must be one of slow, fast, or its number, 0 to 1/],
  [{ mode: 4, lacpActive: "yes" }, /lacpActive must be true or false/],
  [{ lacpRate: "fast" }, /lacpRate is for 802\.3ad, not for mode active-backup/],
  [{ mode: 2, minLinks: 1 }, /minLinks is for 802\.3ad/],
  [{ mode: 4, packetsPerSlave: 1 }, /packetsPerSlave is for balance-rr/],
  [{ mode: 4, failOverMac: "active" }, /failOverMac is for active-backup/],
  [{ mode: 1, tlbDynamicLb: true }, /tlbDynamicLb is for balance-tlb and balance-alb/],
  [{ mode: 1, xmitHashPolicy: "layer3+4" }, /xmitHashPolicy is for balance-xor, 802\.3ad, balance-tlb and balance-alb/],
  [
    { miimon: 100, arpInterval: 100, arpIpTargets: ["10.0.0.1"] },
    /arpInterval cannot be used together with miimon 100/,
  ],
  [{ arpInterval: 100 }, /arpInterval needs arpIpTargets or nsIp6Targets/],
  [{ arpIpTargets: ["10.0.0.1"] }, /arpIpTargets needs an arpInterval/],
  [{ arpValidate: "all" }, /arpValidate needs an arpInterval/],
  [{ arpInterval: 1, arpIpTargets: ["10.0.0.1", "10.0.0.1"] }, /arpIpTargets\[1\] names 10\.0\.0\.1 again/],
  [{ arpInterval: 1, arpIpTargets: ["224.0.0.1"] }, /arpIpTargets\[0\] must be the IPv4 address of one host/],
  [{ arpInterval: 1, arpIpTargets: ["2001:db8::1"] }, /must be the IPv4 address of one host/],
  [{ arpInterval: 1, nsIp6Targets: ["ff02::1"] }, /must be the IPv6 address of one host/],
  [
    { arpInterval: 1, arpIpTargets: Array.from({ length: 17 }, (_, i) => `10.0.0.${i + 1}`) },
    /17 addresses; the kernel takes 16/,
  ],
  [{ mode: 4, miimon: 0 }, /miimon must be more than 0 in mode 802\.3ad/],
  [{ updelay: 150 }, /updelay must be a multiple of miimon, 100 ms, not 150/],
  [{ miimon: 0, downdelay: 100 }, /downdelay needs a miimon/],
  [{ peerNotifDelay: 300_100 }, /peerNotifDelay must be 0 to 300000/],
  [{ primary: "c" }, /primary must be one of the NICs as written there \(a, b, mac:02:00:5e:00:00:01\), not c/],
  [{ mode: 4, primary: "a" }, /primary is for active-backup, balance-tlb and balance-alb, not for mode 802\.3ad/],
  [{ primaryReselect: "better" }, /primaryReselect needs a primary/],
  [{ numGratArp: 1, numPeerNotif: 1 }, /numGratArp is another name of numPeerNotif/],
  [{ mode: 4, minLinks: 4 }, /minLinks is 4, but the bond has 3 NICs/],
  [{ failOverMac: "follow" }, /failOverMac lets the MAC address/, { hardwareAddr: "02:00:5e:00:00:09" }],
];
for (const [options, message, linkAttributes] of refusals)
  test(`refused: ${JSON.stringify(options).slice(0, 80)}`, (t) => {
    const yaml = text(options, linkAttributes);
    const [fault, ...others] = faults(yaml);
    t.deepEqual(others, []);
    t.regex(fault ?? "", message);
    const line = yaml.split("\n")[Number(fault?.split(":")[0]) - 1] ?? "";
    const last = /\.(\w+)(?:\[\d+\])? /.exec(fault ?? "")?.[1] ?? "";
    const named = /bondOptions\.(\w+)/.exec(fault ?? "")?.[1] ?? last;
    t.true(line.includes(named) || line.trimStart().startsWith("-"), `${fault} points at "${line}"`);
  });

test("all that is wrong is said at once, each at its own line", (t) => {
  const found = faults(text({ mode: 4, miimon: 0, arpInterval: 100, arpIpTargets: ["10.0.0.1"] }));
  t.deepEqual(
    found.map((fault) => /bondOptions\.(\w+) (is for|must)/.exec(fault)?.slice(1).join(" ")),
    ["miimon must", "arpInterval is for", "arpIpTargets is for"],
  );
});

test("NICs by MAC and PCI path; what is neither is refused", (t) => {
  const nics = (...list: string[]): string[] =>
    faults(vc(stringify({ spec: { clusterNetwork: "oob", uplink: { nics: list } } })));
  t.deepEqual(nics("mac:AA:bb:cc:00:11:22", "pci:0000:01:00.0", "pci:10000:e1:1f.7"), []);
  for (const wrong of [
    "mac:aa:bb:cc:00:11",
    "mac:01:00:5e:00:00:01",
    "pci:01:00.0",
    "pci:0000:01:00.8",
    "usb:1",
    "lo",
  ]) {
    t.regex(nics(wrong).join(), /nics\[0\] must be the name of a NIC .* pci: with a path/, wrong);
  }
});

test("the table: what a mode is given is only what it knows, and every option is known to some mode", (t) => {
  for (const mode of bondModes) {
    const data = bondData(mode, {});
    for (const { attribute, modes } of bondOptions) {
      if (!modes.includes(mode)) t.false(attribute in data, `${attribute} in ${mode}`);
      else t.true(attribute in data, `${attribute} in ${mode}`);
    }
  }
  t.is(new Set(bondOptions.map(({ name }) => name)).size, bondOptions.length);
});

test("config/bond-options.md lists the table", async (t) => {
  const file = join(packageRoot(), "config/bond-options.md");
  // UPDATE_SCHEMAS=1 writes it anew after a change.
  if (process.env["UPDATE_SCHEMAS"]) await writeFile(file, bondOptionsPage());
  t.is(await readFile(file, "utf8"), bondOptionsPage());
});
