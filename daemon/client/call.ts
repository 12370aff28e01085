/** A call of one of the daemon's sockets: JSON there and back. An error of the daemon's keeps its code and help. */
import { request } from "node:http";
import { type ErrorCode, errorTable, PortwrightError } from "../errors.ts";
import type { Place } from "../model/resources.ts";

export interface Call {
  readonly method: "GET" | "POST" | "DELETE";
  readonly path: string;
  readonly body?: object;
}

/** No limit of time: a change takes as long as its verification, and goes on without the caller anyway. */
export function call<T>(socketPath: string, { method, path, body }: Call): Promise<T> {
  const text = body === undefined ? "" : JSON.stringify(body);
  const headers =
    body === undefined ? {} : { "content-type": "application/json", "content-length": Buffer.byteLength(text) };
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        try {
          const received = Buffer.concat(chunks).toString("utf8");
          const answer = received === "" ? undefined : (JSON.parse(received) as unknown); // 204
          const { statusCode = 0 } = response;
          if (statusCode >= 200 && statusCode < 300) resolve(answer as T);
          else reject(asError(answer) ?? new Error(`${method} ${path}: status ${response.statusCode}`));
        } catch (error) {
          reject(error);
        }
      });
    });
    sent.on("error", (cause: NodeJS.ErrnoException) => {
      const why = cause.code === "ENOENT" || cause.code === "ECONNREFUSED" ? "no daemon listens there" : cause.message;
      reject(new Error(`${socketPath}: ${why}`, { cause }));
    });
    sent.end(text);
  });
}

function asError(answer: unknown): PortwrightError | null {
  const { error } = (answer ?? {}) as { error?: { code: string; message: string; place?: Place } };
  if (error === undefined || !(error.code in errorTable)) return null;
  const place = error.place === undefined ? {} : { place: error.place };
  return new PortwrightError(error.code as ErrorCode, error.message, place);
}
