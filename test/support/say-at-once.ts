/**
 * Says something in one piece to a server of this very thread before that can look: the thread stands still until all is
 * written. So the server finds connection and words together, as it does with a plugin, which is another process.
 */
import { setImmediate as nextTurn } from "node:timers/promises";
import { Worker } from "node:worker_threads";

const SPEAKER = `
  const { connect } = require("node:net");
  const { parentPort, workerData: { path, words, written, deaf } } = require("node:worker_threads");
  let answer = "";
  const socket = connect({ path });
  socket.setEncoding("utf8");
  if (deaf) setInterval(() => {}, 60_000); // a socket that nobody reads keeps no thread
  else socket.on("data", (chunk) => { answer += chunk; });
  socket.on("error", () => {}).on("close", () => { parentPort.postMessage(answer); });
  socket.write(words, () => { Atomics.store(written, 0, 1); Atomics.notify(written, 0); });
`;
const PATIENCE_MS = 30_000;

export interface Said {
  /** all that came until the connection was closed; nothing if we left */
  readonly answer: Promise<string>;
  /** hangs up */
  leave(): void;
}

/** `deaf`: does not read what is answered */
export function sayAtOnce(path: string, words: string | Uint8Array, { deaf = false } = {}): Said {
  const written = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(SPEAKER, { eval: true, workerData: { path, words, written, deaf } });
  const answer = new Promise<string>((resolve, reject) => {
    worker
      .once("message", resolve)
      .once("error", reject)
      .once("exit", () => resolve(""));
  });
  if (Atomics.wait(written, 0, 0, PATIENCE_MS) === "timed-out") throw new Error("nothing could be said");
  return { answer, leave: () => void worker.terminate() };
}

/** Resolves when this thread's servers have waited for connections once: who comes before that is taken by Node. */
export async function untilServersWait(): Promise<void> {
  await nextTurn(); // of the turn that has begun
  await nextTurn();
}
