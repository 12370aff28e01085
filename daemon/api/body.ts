/**
 * Request bodies. A body that is too large is read to its end (up to a second limit) and thrown away before the answer
 * is sent: closing a unix socket with unread data makes the peer's next write fail before it has read why.
 */
import type { Readable } from "node:stream";
import { PortwrightError } from "../errors.ts";

const MAX_DISCARDED = 8 * 1024 * 1024;

export async function readBody(stream: Readable, limit: number): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    size += chunk.length;
    if (size <= limit) chunks.push(chunk);
    else if (size > MAX_DISCARDED) break; // leaving the loop destroys the stream, and with it the connection
  }
  if (size > limit) throw new PortwrightError("REQUEST_TOO_LARGE", `the body is larger than ${limit} bytes`);
  return Buffer.concat(chunks, size);
}
