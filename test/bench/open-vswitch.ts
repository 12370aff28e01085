/**
 * Open vSwitch with its kernel datapath, as a peer: daemons of its own, with their database in the bench's directory. It
 * is not installed: vm.mjs unpacks Debian's packages beside the kernels and says where.
 */
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { type Connect, VLAN } from "./beds.ts";

const START_LIMIT_MS = 60_000;

function root(): string | undefined {
  return process.env["PORTWRIGHT_BENCH_OVS"];
}

export function hasOpenVSwitch(): boolean {
  return root() !== undefined;
}

export const openVSwitch: Connect = async (scope, { host, pods }, nic) => {
  const tree = root() ?? "/";
  const directory = join(scope.directory, `ovs-${host.name}`);
  await mkdir(directory, { mode: 0o700 });
  const [database, control] = [join(directory, "conf.db"), join(directory, "db.sock")];
  const machine = process.arch === "arm64" ? "aarch64" : "x86_64";
  const places = { OVS_RUNDIR: directory, OVS_LOGDIR: directory, OVS_DBDIR: directory };
  const env = { ...process.env, ...places, LD_LIBRARY_PATH: join(tree, `usr/lib/${machine}-linux-gnu`) };
  const daemon = async (program: string, args: readonly string[], socket: string): Promise<void> => {
    const words = [`--net=${host.path}`, join(tree, program), ...args, "-vconsole:err"];
    scope.adopt(spawn("nsenter", words, { env, stdio: ["ignore", "ignore", "inherit"] }));
    const limit = performance.now() + START_LIMIT_MS;
    while (!existsSync(socket)) {
      if (performance.now() > limit) throw new Error(`${program} does not come up`);
      await sleep(50, undefined, { signal: scope.signal });
    }
  };
  const run = (program: string, args: readonly string[]): Promise<string> =>
    scope.run("env", [
      ...Object.entries({ ...places, LD_LIBRARY_PATH: env.LD_LIBRARY_PATH }).map(([name, value]) => `${name}=${value}`),
      join(tree, program),
      ...args,
    ]);

  await run("usr/bin/ovsdb-tool", ["create", database, join(tree, "usr/share/openvswitch/vswitch.ovsschema")]);
  await daemon("usr/sbin/ovsdb-server", [database, `--remote=punix:${control}`, "--no-chdir"], control);
  const pidfile = join(directory, "ovs-vswitchd.pid");
  const vswitchd = ["--no-chdir", `--pidfile=${pidfile}`, `unix:${control}`];
  await daemon("usr/lib/openvswitch-switch/ovs-vswitchd", vswitchd, pidfile);

  const links = await host.namespace.links();
  const nameOf = (ifindex: number): string => links.find((link) => link.ifindex === ifindex)?.name ?? "";
  const ports = [
    ...pods.flatMap(({ port }) => ["--", "add-port", "br0", nameOf(port), `tag=${VLAN}`]),
    ...(nic === null ? [] : ["--", "add-port", "br0", nameOf(nic), `trunks=${VLAN},200`]),
  ];
  // It waits until the daemon has done it.
  await run("usr/bin/ovs-vsctl", [`--db=unix:${control}`, "add-br", "br0", ...ports]);
};
