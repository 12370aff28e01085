/** A Linux guest for QEMU that runs one line of shell and powers off: a kernel of Debian's from the cache of the VM tests. */
import { execFile } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { basename, join } from "node:path";
import { promisify } from "node:util";
import { CHARACTER_DEVICE, cpio, DIRECTORY, FILE, PROGRAM } from "../vm/cpio.mjs";
import { cacheDirectory } from "../vm/kernels.mjs";

const run = promisify(execFile);
const BUSYBOX = "/bin/busybox";

export interface GuestKernel {
  readonly root: string;
  readonly release: string;
  readonly image: string;
}

/** undefined: the VM tests have fetched none yet, or there is no busybox */
export function cachedKernel(): GuestKernel | undefined {
  const cache = cacheDirectory();
  if (!existsSync(cache) || !existsSync(BUSYBOX)) return undefined;
  const name = readdirSync(cache).find((one) => one.startsWith("linux-image-6.12"));
  if (name === undefined) return undefined;
  const root = join(cache, name);
  const image = readdirSync(join(root, "boot")).find((file) => file.startsWith("vmlinuz-"));
  return image === undefined
    ? undefined
    : { root, release: image.slice("vmlinuz-".length), image: join(root, "boot", image) };
}

const INIT = `#!/bin/busybox sh
/bin/busybox --install -s /bin
for module in $(cat /modules/order); do insmod "/modules/$module"; done
ip link set eth0 up
. /job
poweroff -f
`;

/** Written to `file`, for -initrd. */
export async function guestRoot({ root, release }: GuestKernel, job: string, file: string): Promise<void> {
  const args = ["-C", "/dev/null", "-d", root, "-S", release, "--show-depends", "--all", "virtio_pci", "virtio_net"];
  const { stdout } = await run("modprobe", args);
  const paths = [...new Set(stdout.split("\n").flatMap((line) => /^insmod (\S+)/.exec(line)?.[1] ?? []))];
  const modules = await Promise.all(
    paths.map(async (path) => ({ name: basename(path).replace(/\.xz$/, ""), data: await plain(path) })),
  );
  const archive = cpio([
    ...["bin", "dev", "proc", "modules"].map((name) => ({ name, mode: DIRECTORY })),
    { name: "dev/console", mode: CHARACTER_DEVICE, device: [5, 1] },
    { name: "bin/busybox", mode: PROGRAM, data: readFileSync(BUSYBOX) },
    { name: "init", mode: PROGRAM, data: INIT },
    { name: "job", mode: FILE, data: `${job}\n` },
    { name: "modules/order", mode: FILE, data: modules.map(({ name }) => `${name}\n`).join("") },
    ...modules.map(({ name, data }) => ({ name: `modules/${name}`, mode: FILE, data })),
  ]);
  await writeFile(file, archive);
}

async function plain(path: string): Promise<Buffer> {
  if (!path.endsWith(".xz")) return readFileSync(path);
  const { stdout } = await run("xz", ["-dc", path], { encoding: "buffer", maxBuffer: 1 << 26 });
  return stdout;
}
