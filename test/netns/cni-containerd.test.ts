/** A real container: containerd and runc, `ctr run --cni`, a busybox that pings its gateway across a VLAN. */
import { join } from "node:path";
import test from "ava";
import { cniPluginFile } from "../../daemon/package-files.ts";
import { Containerd, containerdPrograms, pluginDirectory } from "../support/containerd.ts";
import { WireSwitch } from "../support/host-network.ts";
import { OOB, TestHost } from "../support/test-host.ts";

const programs = await containerdPrograms();
// Without root, busybox, or a mirror that has the packages there is no containerd.
const withContainerd = programs === null ? test.skip : test;

withContainerd(
  "a container that containerd runs pings its gateway across a VLAN, and leaves nothing behind",
  async (t) => {
    const h = await TestHost.start(t, { intent: OOB() });
    const wire = await WireSwitch.build(t, h, [100, 200]);
    await wire.station("gw100", 100, "10.100.0.1/24");
    await wire.station("gw200", 200, "10.100.0.9/24");
    const { socket: portwrightSocket, stateDirectory: portwrightStateDir } = h.runtime;
    const plugin = {
      ...{ type: "portwright", bridge: "oob-br", vlan: 100, portwrightSocket, portwrightStateDir },
      ipam: {
        type: "host-local",
        dataDir: join(h.directory, "ipam"),
        ranges: [[{ subnet: "10.100.0.0/24", rangeStart: "10.100.0.20", gateway: "10.100.0.1" }]],
        routes: [{ dst: "0.0.0.0/0" }],
      },
    };
    const containerd = await Containerd.start(t, {
      programs: programs ?? "",
      directory: join(h.directory, "c"),
      plugins: await pluginDirectory(join(h.directory, "plugins"), cniPluginFile(), "/usr/lib/cni/host-local"),
      network: { cniVersion: "1.0.0", name: "vlan100", plugins: [plugin] },
    });
    const ping = await containerd.run("one", "ping", "-c", "3", "-W", "2", "10.100.0.1");
    t.is(ping.ended, 0, ping.stdout + ping.stderr);
    t.regex(ping.stdout, /3 packets transmitted, 3 packets received/);
    const address = await containerd.run("two", "ip", "-o", "addr", "show", "eth0");
    t.regex(address.stdout, /inet 10\.100\.0\.2\d\/24/, address.stderr);
    const other = await containerd.run("three", "ping", "-c", "1", "-W", "1", "10.100.0.9");
    t.not(other.ended, 0, "another VLAN is not reached");
    t.deepEqual(await h.get("/v1/attachments"), { attachments: [] });
  },
);
