// @ts-check
// What a VM runs: a program of the host's root, with an environment of its own.
import os from "node:os";

/**
 * @param {readonly string[]} command
 * @param {{ directory: string, environment?: Readonly<Record<string, string>>, limitMs: number }} how
 * @returns {string} a line for the shell of the machine's first root; outlives no harness that was killed
 */
export function inHostRoot(command, { directory, environment = {}, limitMs }) {
  const all = {
    HOME: os.homedir(),
    PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    LANG: "C.UTF-8",
    ...environment,
  };
  const words = [
    ...["timeout", "-s", "KILL", String(limitMs / 1000), "chroot", "/root", "/usr/bin/env", "-i", "-C", directory],
    ...Object.entries(all).map(([name, value]) => `${name}=${value}`),
    ...command,
  ];
  return words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(" ");
}
