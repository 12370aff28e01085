/** GET on one of the daemon's unix sockets, JSON back. */
import { request } from "node:http";
import { codeOf } from "../thrown.ts";

const CONNECT_ERRORS: Readonly<Record<string, string>> = {
  ENOENT: "there is no such socket: the daemon is not running, or uses another --run-dir",
  ECONNREFUSED: "nobody listens there: the daemon is not running",
  EACCES: "only root and the socket's group may connect",
};

const LIMIT_MS = 5000;

/** `limitMs`: how long the daemon may say nothing */
export function getJson<T>(socketPath: string, path: string, limitMs = LIMIT_MS): Promise<T> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, timeout: limitMs }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        if (response.statusCode === 200) resolve(JSON.parse(text) as T);
        else reject(new Error(`GET ${path}: ${response.statusCode} ${text}`));
      });
    });
    call.on("timeout", () => call.destroy(new Error(`GET ${path}: no answer in ${limitMs / 1000} s`)));
    call.on("error", (error) => reject(explained(error, socketPath)));
    call.end();
  });
}

/** The error of connect(2), in the words of whoever wanted an answer. */
function explained(error: Error, socketPath: string): Error {
  const why = CONNECT_ERRORS[codeOf(error) ?? ""];
  return why ? new Error(`${socketPath}: ${why}`, { cause: error }) : error;
}
