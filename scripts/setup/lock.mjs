// @ts-check
// One set-up at a time in a checkout: `npm start` and `npm test` in two terminals must not build over each other.
import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import path from "node:path";
import { once } from "node:events";

/**
 * Takes flock(2) by way of util-linux, which every Debian has. The holder ends when our end of its stdin closes, so the
 * kernel frees the lock however this process ends; it has a session of its own, so Ctrl-C does not free it too early.
 * @param {string} file
 * @param {() => void} onWait called once if somebody else holds the lock
 * @returns {Promise<() => Promise<void>>} frees the lock
 */
export async function takeLock(file, onWait) {
  mkdirSync(path.dirname(file), { recursive: true });
  const holder = spawn("flock", [file, "sh", "-c", "echo held; exec cat"], {
    detached: true,
    stdio: ["pipe", "pipe", "inherit"],
  });
  const patience = setTimeout(onWait, 300);
  try {
    await Promise.race([
      once(holder.stdout, "data"),
      once(holder, "exit").then(([code]) => {
        throw new Error(`flock ended with exit code ${code}`);
      }),
    ]);
  } finally {
    clearTimeout(patience);
  }
  return async () => {
    const ended = once(holder, "exit");
    holder.stdin.end();
    await ended;
  };
}
