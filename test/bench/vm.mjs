// @ts-check
// `npm run bench:vm`: the rows of packets on Debian's 6.12 kernel in a virtual machine, where the bridge can filter VLANs
// and Open vSwitch has its kernel datapath. Arguments go to the bench; without any, the rows unicast and push are run.
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { ROOT } from "../../scripts/setup/root.mjs";
import { bundle } from "../vm/bundle.mjs";
import { initramfs } from "../vm/initramfs.mjs";
import { inHostRoot } from "../vm/job.mjs";
import { obtainKernel, SERIES } from "../vm/kernels.mjs";
import { boot } from "../vm/machine.mjs";
import { unpackedPackages } from "../vm/unpacked.mjs";
import { buildPrograms } from "./programs.ts";

const PACKAGES = ["openvswitch-switch", "openvswitch-common", "libxdp1"];
const WORK = path.join(ROOT, "build/vm-bench");
const LIMIT_MS = 1_800_000;

const series = SERIES.find(({ name }) => name === "6.12");
const kernel = series && (await obtainKernel(series));
if (kernel === undefined) throw new Error("apt knows no kernel of the series 6.12");
buildPrograms(); // here, where compilers are fast
await bundle(["test/bench/main.ts"], path.join(WORK, "code"));
const rows = process.argv.length > 2 ? process.argv.slice(2) : ["--only", "unicast", "--only", "push"];
const job = inHostRoot([process.execPath, "test/bench/main.mjs", ...rows], {
  directory: path.join(WORK, "code"),
  environment: {
    PORTWRIGHT_BENCH_OVS: await unpackedPackages("open-vswitch", PACKAGES),
    PORTWRIGHT_BENCH_EMULATED: "1",
  },
  limitMs: LIMIT_MS,
});
mkdirSync(WORK, { recursive: true });
const file = (/** @type {string} */ name) => path.join(WORK, name);
writeFileSync(file("initramfs"), await initramfs(kernel, job));
const machine = { image: kernel.image, initramfs: file("initramfs"), console: file("console") };
console.log(`Linux ${kernel.release} in a virtual machine without KVM: figures are ratios, not speeds`);
for await (const line of boot({ ...machine, silenceMs: 900_000, limitMs: LIMIT_MS })) {
  const end = /^# end (\d+)/.exec(line);
  if (end) process.exitCode = Number(end[1]);
  else if (!line.startsWith("# ")) console.log(line);
}
