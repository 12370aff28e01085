/**
 * Request bodies. A body that is too large is read to its end (up to a second limit) and thrown away before the answer
 * is sent: closing a unix socket with unread data makes the peer's next write fail before it has read why.
 */
import type { Readable } from "node:stream";
import { PortwrightError } from "../errors.ts";

const MAX_DISCARDED = 8 * 1024 * 1024;

/** By events: an iterator over the stream takes longer to be made than most bodies to be read. */
export function readBody(stream: Readable, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  const tooLarge = (): Error => new PortwrightError("REQUEST_TOO_LARGE", `the body is larger than ${limit} bytes`);
  return new Promise((resolve, reject) => {
    stream.on("data", (chunk: Buffer) => {
      size += chunk.length;
      if (size <= limit) chunks.push(chunk);
      else if (size > MAX_DISCARDED) {
        reject(tooLarge());
        stream.destroy(); // and with it the connection
      }
    });
    stream.once("end", () => (size > limit ? reject(tooLarge()) : resolve(Buffer.concat(chunks, size))));
    stream.once("error", reject);
    stream.once("close", () => reject(new Error("the connection ended before the body did")));
  });
}
