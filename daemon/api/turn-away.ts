/**
 * A start that fails for good, under socket activation: a call that stays in a socket's queue, even one whose caller has
 * left, would make systemd start the daemon again and again. Hanging up on those who wait leaves the next start to the
 * next call, or to an operator.
 */
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import type { PassedSockets } from "./activation.ts";

/** What is queued is taken at once; this is for the loop to come round. */
const MOMENT_MS = 50;

export async function turnAway(passed: PassedSockets): Promise<void> {
  await Promise.all(Object.values(passed).map((fd: number) => hangUp(fd)));
}

async function hangUp(fd: number): Promise<void> {
  const server = createServer((socket) => socket.destroy());
  server.on("error", () => undefined); // the reason for all this has been told
  server.listen({ fd });
  await sleep(MOMENT_MS);
  server.close();
}
