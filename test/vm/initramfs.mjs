// @ts-check
// The first root of a VM: busybox, the modules that the tests need with all that these need, and what is to be run.
import { execFile } from "node:child_process";
import { readFileSync } from "node:fs";
import path from "node:path";
import { promisify } from "node:util";
import { output } from "../../scripts/setup/run.mjs";
import { CHARACTER_DEVICE, cpio, DIRECTORY, FILE, PROGRAM } from "./cpio.mjs";

/** Those without which there is no root come first. */
const MODULES = [
  ...["virtio_pci", "virtio_console", "9pnet_virtio", "9p", "overlay"],
  ...["bonding", "8021q", "bridge", "br_netfilter", "veth", "dummy", "vxlan", "vrf", "tun", "macvlan", "ifb"],
  ...["virtio_net"],
  ...["cls_bpf", "sch_ingress", "sch_fq", "sch_netem", "openvswitch"],
  ...["nf_tables", "nft_chain_nat", "nft_masq", "nft_meta_bridge"],
];

/**
 * @param {import("./kernels.mjs").VmKernel} kernel
 * @param {string} job a line of shell, run in the machine's root
 */
export async function initramfs(kernel, job) {
  const files = await moduleFiles(kernel);
  const modules = await Promise.all(
    files.map(async (file) => ({ name: path.basename(file).replace(/\.xz$/, ""), data: await plain(file) })),
  );
  return cpio([
    ...["bin", "dev", "proc", "modules", "host", "overlay", "root"].map((name) => ({ name, mode: DIRECTORY })),
    { name: "dev/console", mode: CHARACTER_DEVICE, device: [5, 1] },
    { name: "bin/busybox", mode: PROGRAM, data: readFileSync("/bin/busybox") },
    { name: "init", mode: PROGRAM, data: readFileSync(path.join(import.meta.dirname, "init.sh")) },
    { name: "job", mode: FILE, data: `${job}\n` },
    { name: "modules/order", mode: FILE, data: modules.map(({ name }) => `${name}\n`).join("") },
    ...modules.map(({ name, data }) => ({ name: `modules/${name}`, mode: FILE, data })),
  ]);
}

/**
 * In the order in which they can be loaded. modprobe prints "insmod FILE" or "builtin NAME" for each.
 * @param {import("./kernels.mjs").VmKernel} kernel
 */
async function moduleFiles({ root, release }) {
  const args = ["-C", "/dev/null", "-d", root, "-S", release, "--show-depends", "--all", ...MODULES];
  const lines = (await output("modprobe", args)).split("\n");
  return [...new Set(lines.flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []))];
}

/** @param {string} file */
async function plain(file) {
  if (!file.endsWith(".xz")) return readFileSync(file);
  const { stdout } = await promisify(execFile)("xz", ["-dc", file], { encoding: "buffer", maxBuffer: 1 << 26 });
  return stdout;
}
