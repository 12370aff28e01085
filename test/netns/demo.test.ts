// The demo as a test: who reaches whom, TCP with default offloads on every kind of path, and nothing left behind.
import { existsSync } from "node:fs";
import { readdir } from "node:fs/promises";
import test from "ava";
import { Demo, DEMO_DIRECTORY, DEMO_NETNS } from "../../daemon/demo/demo.ts";
import { statusFaults } from "../../daemon/demo/expectations.ts";
import { NETNS_DIRECTORY } from "../../daemon/demo/lab.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { bpfObjectFile, cniPluginFile, daemonProgram, demoIntentFile } from "../../daemon/package-files.ts";
import { transfer } from "../support/iperf.ts";

test.serial("the demo's workloads reach their own VLAN and no other; TCP works on every path", async (t) => {
  const files = {
    daemon: daemonProgram(),
    plugin: cniPluginFile(),
    bpfObject: bpfObjectFile(),
    intent: demoIntentFile(),
  };
  const demo = new Demo(nativeKernel(), files, () => {});
  let disposed = false;
  t.teardown(async () => {
    if (!disposed) await demo.dispose();
  });
  await demo.build();

  const cells = await demo.matrix();
  t.true(cells.length > 30);
  t.deepEqual(
    cells.filter(({ reached, expected }) => reached !== expected).map(({ from, to }) => `${from.label} -> ${to.label}`),
    [],
  );
  t.deepEqual(statusFaults(await demo.probed()), []);

  const at = (name: string): string => `${NETNS_DIRECTORY}/${DEMO_NETNS}${process.pid}-${name}`;
  const paths = [
    ["web-1", "web-2", "10.100.0.12"],
    ["web-1", "gw-100", "10.100.0.1"],
    ["gw-100", "web-1", "10.100.0.11"],
    ["db-1", "gw-200", "10.200.0.1"],
    ["legacy", "gw-untagged", "10.1.0.1"],
    ["gw-untagged", "legacy", "10.1.0.11"],
  ] as const;
  for (const [from, to, address] of paths) {
    // A path that loses GSO frames or checksums moves nothing, or a few segments by retransmission.
    const { bitsPerSecond } = await transfer(at(from), at(to), address, { seconds: 1 });
    t.true(bitsPerSecond > 100e6, `${from} -> ${to}: ${bitsPerSecond} bit/s`);
  }
  const ports = await demo.ports();
  t.deepEqual(
    ports.flatMap(({ device, counters }) => (Number(counters?.drops["mtu"] ?? 0) > 0 ? [device] : [])),
    [],
    "no GSO frame was refused",
  );

  await demo.dispose();
  disposed = true;
  t.false(existsSync(`${DEMO_DIRECTORY}${process.pid}`));
  t.deepEqual(
    (await readdir(NETNS_DIRECTORY)).filter((name) => name.startsWith(`${DEMO_NETNS}${process.pid}`)),
    [],
  );
});
