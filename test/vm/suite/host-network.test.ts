// The host's own interfaces in VLANs on a bridge that filters: 8021q devices where the kernel has them, with the real daemon;
// and a veth where a MAC of its own is asked for. The station on the wire speaks 802.1Q by the kernel's own devices.
import { execFile } from "node:child_process";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import type { LabHost } from "../../../daemon/demo/lab.ts";
import { hostState } from "../../support/change.ts";
import { dhcpServer, HOST_NETWORK, hostNetwork, pings, STATIC } from "../../support/host-network.ts";
import { OOB, TestHost } from "../../support/test-host.ts";
import { until } from "../../support/until.ts";

const run = promisify(execFile);
const within = (host: LabHost, ...args: string[]) => run("nsenter", [`--net=${host.path}`, ...args]);

const STORAGE = HOST_NETWORK("storage", 100, STATIC("10.100.0.5/24"));
const OWN_MAC = HOST_NETWORK("own", 200, `${STATIC("10.200.0.5/24")}, hardwareAddr: "02:00:5e:00:00:01"`);

async function station(h: TestHost, vlan: number, address: string): Promise<void> {
  const device = `nic0.${vlan}`;
  await within(h.wire, "ip", "link", "add", "link", "nic0", "name", device, "type", "vlan", "id", String(vlan));
  await within(h.wire, "ip", "addr", "add", address, "dev", device);
  await within(h.wire, "ip", "link", "set", device, "up");
}

/** VLANs of a device as the kernel's tool tells them. */
async function vlansOf(h: TestHost, device: string): Promise<readonly number[]> {
  const { stdout } = await within(h.host, "bridge", "-json", "vlan", "show", "dev", device);
  const [found] = JSON.parse(stdout) as { vlans: { vlan: number; vlanEnd?: number }[] }[];
  return (found?.vlans ?? []).flatMap(({ vlan, vlanEnd = vlan }) =>
    Array.from({ length: vlanEnd - vlan + 1 }, (_, i) => vlan + i),
  );
}

test.serial(
  "the host is in its VLANs by 8021q, by a veth with a MAC of its own; what somebody takes away comes back; nothing is left",
  async (t) => {
    const h = await TestHost.start(t, { intent: OOB(), datapath: "bridge" });
    const bare = await hostState(h);
    const reload = async (intent: string): Promise<void> => {
      await writeFile(join(h.directory, "intent.yaml"), intent);
      process.kill(h.daemon.pid, "SIGHUP");
    };
    await reload(`${OOB()}---${STORAGE}---${OWN_MAC}`);
    await station(h, 100, "10.100.0.1/24");
    await station(h, 200, "10.200.0.1/24");
    const ready = (name: string) => async () =>
      (await h.status()).hostNetworks.some((one) => one.name === name && one.ready);
    await until(ready("storage"));
    await until(ready("own"));
    t.true(await pings(h.host, "10.100.0.1"), "by 8021q");
    t.true(await pings(h.host, "10.200.0.1"), "by a veth");
    const device = await h.host.namespace.link({ name: "oob-br.100" });
    const bridge = await h.host.namespace.link({ name: "oob-br" });
    t.like(device, { kind: "vlan", link: bridge?.ifindex, mac: bridge?.mac, alias: "portwright host oob 100" });
    t.like(await h.host.namespace.link({ name: "oob-br.200" }), { kind: "veth", mac: "02:00:5e:00:00:01" });
    t.deepEqual(await vlansOf(h, "oob-br"), [100], "the bridge itself is in the VLAN of its device, and in no other");
    t.deepEqual(await vlansOf(h, "oob-bo"), [100, 200]);
    const roles = (await h.ports()).flatMap(({ device: name, role }) => (role === "host" ? [name] : []));
    t.deepEqual(roles.toSorted(), ["oob-br", "oob-h.200"]);

    const breaks: readonly (readonly string[])[] = [
      ["ip", "link", "del", "oob-br.100"],
      ["ip", "addr", "del", "10.100.0.5/24", "dev", "oob-br.100"],
      ["ip", "link", "set", "oob-br.100", "down"],
      ["ip", "link", "set", "oob-br", "down"],
      ["bridge", "vlan", "del", "vid", "100", "dev", "oob-br", "self"],
      ["ip", "link", "del", "oob-br"],
    ];
    for (const command of breaks) {
      await within(h.host, ...command);
      await until(() => pings(h.host, "10.100.0.1"));
      await until(ready("storage"));
      t.pass(command.join(" "));
    }
    await until(ready("own"));

    const before = Number((await h.host.namespace.link({ name: "oob-br.100" }))?.ifindex);
    await h.restart();
    t.is((await h.host.namespace.link({ name: "oob-br.100" }))?.ifindex, before, "a restart leaves it alone");

    await reload(OOB());
    await until(async () => (await h.host.namespace.link({ name: "oob-br.100" })) === null);
    await until(async () => (await vlansOf(h, "oob-bo")).length === 0);
    t.deepEqual(await vlansOf(h, "oob-br"), []);
    t.deepEqual(await hostState(h), bare);
  },
);

test.serial("a lease comes to an 8021q device, and its MTU follows the uplink's", async (t) => {
  const h = await TestHost.start(t, {
    intent: `${OOB()}---${HOST_NETWORK("storage", 100, "mode: dhcp")}`,
    datapath: "bridge",
    ready: false,
  });
  await station(h, 100, "10.100.0.1/24");
  const range = { first: "10.100.0.50", last: "10.100.0.60", lease: 600 };
  await dhcpServer(t, h.wire, h.directory, { ...range, device: "nic0.100" });
  await until(async () => (await hostNetwork(h, "storage")).ready);
  t.true(await pings(h.host, "10.100.0.1"));
  const { lease, addresses } = await hostNetwork(h, "storage");
  t.is(lease?.server, "10.100.0.1");
  for (const mtu of [1400, 1500]) {
    await writeFile(join(h.directory, "intent.yaml"), `${OOB(mtu)}---${HOST_NETWORK("storage", 100, "mode: dhcp")}`);
    process.kill(h.daemon.pid, "SIGHUP");
    await until(async () => (await hostNetwork(h, "storage")).mtu === mtu && (await h.status()).ready);
    t.deepEqual((await hostNetwork(h, "storage")).addresses, addresses);
    t.true(await pings(h.host, "10.100.0.1"));
  }
});
