// @ts-check
// A virtual machine: QEMU without KVM, the host's root read-only, a console in a file and a port for what it prints.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readSync, statSync } from "node:fs";
import { createInterface } from "node:readline";

const MEMORY_MB = 2048;
const CONSOLE_LINES = 40;
/** those that Node does not turn into anything by itself */
const DEADLY = /** @type {const} */ (["SIGTERM", "SIGHUP"]);

/**
 * @typedef {object} Machine
 * @property {string} image
 * @property {string} initramfs file
 * @property {string} console file that takes what the kernel prints
 * @property {number} silenceMs without a line for so long it is taken for hung
 * @property {number} limitMs for the whole of it
 */

/** Says what the machine did instead of ending well; the console's last lines tell why. */
export class MachineError extends Error {
  /**
   * @param {string} message
   * @param {string} console file
   */
  constructor(message, console) {
    super(message);
    this.console = consoleTail(console);
  }
}

/**
 * The lines that the machine writes to its port. Whoever stops reading ends the machine.
 * @param {Machine} machine
 * @returns {AsyncGenerator<string>}
 * @throws {MachineError} on silence and when it takes too long
 */
export async function* boot(machine) {
  // Tests are not in a hurry: whoever works on this machine goes first.
  const child = spawn("nice", ["-n", "10", "qemu-system-x86_64", ...qemuArguments(machine)], {
    // Standard input stays open: at its end QEMU takes the port for unplugged, and whoever writes to it waits for ever.
    stdio: ["pipe", "pipe", "pipe"],
  });
  const closed = once(child, "close");
  // QEMU would outlive a harness that is ended by a signal.
  const die = (/** @type {NodeJS.Signals} */ signal) => {
    child.kill("SIGKILL");
    process.kill(process.pid, signal);
  };
  for (const signal of DEADLY) process.once(signal, die);
  let complaint = "";
  child.stderr.setEncoding("utf8").on("data", (text) => {
    complaint = (complaint + text).slice(-4000);
  });
  /** @type {string | undefined} */
  let why;
  const end = (/** @type {string} */ reason) => () => {
    why ??= reason;
    child.kill("SIGKILL");
  };
  const limit = setTimeout(end(`took longer than ${machine.limitMs / 1000} s`), machine.limitMs);
  const silence = setTimeout(end(`said nothing for ${machine.silenceMs / 1000} s`), machine.silenceMs);
  try {
    for await (const line of createInterface({ input: child.stdout })) {
      silence.refresh();
      yield line;
    }
    const [code, signal] = await closed;
    if (why === undefined && (code !== 0 || signal !== null))
      why = `QEMU ended by ${signal ?? `exit code ${code}`}: ${complaint.trim()}`;
  } finally {
    clearTimeout(limit);
    clearTimeout(silence);
    for (const signal of DEADLY) process.off(signal, die);
    child.kill("SIGKILL");
  }
  if (why !== undefined) throw new MachineError(why, machine.console);
}

/** @param {Machine} machine */
function qemuArguments({ image, initramfs, console }) {
  return [
    ...["-accel", "tcg,thread=multi", "-cpu", "max", "-smp", "2", "-m", String(MEMORY_MB)],
    ...["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"],
    ...["-kernel", image, "-initrd", initramfs],
    // An oops ends the machine at once: what runs after one proves nothing. Mitigations only cost time here.
    ...["-append", "console=ttyS0 quiet panic=-1 oops=panic mitigations=off"],
    ...["-chardev", `file,id=console,path=${console}`, "-serial", "chardev:console"],
    ...["-device", "virtio-serial-pci", "-chardev", "stdio,id=results,signal=off"],
    ...["-device", "virtserialport,chardev=results,name=portwright.results"],
    // A NIC on PCI, connected to nothing.
    ...["-netdev", "hubport,hubid=0,id=nic", "-device", "virtio-net-pci,netdev=nic,addr=1f,romfile="],
    ...["-virtfs", "local,path=/,mount_tag=host,security_model=none,readonly=on,multidevs=remap"],
  ];
}

/**
 * @param {string} file
 * @returns {string[]}
 */
export function consoleTail(file) {
  const length = Math.min(statSync(file, { throwIfNoEntry: false })?.size ?? 0, 16_384);
  if (length === 0) return ["the console is empty"];
  const descriptor = openSync(file, "r");
  const buffer = Buffer.alloc(length);
  readSync(descriptor, buffer, 0, length, statSync(file).size - length);
  closeSync(descriptor);
  return buffer.toString("utf8").replace(/\r/g, "").trimEnd().split("\n").slice(-CONSOLE_LINES);
}
