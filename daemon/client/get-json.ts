/** GET on one of the daemon's unix sockets, JSON back. */
import { request } from "node:http";

export function getJson<T>(socketPath: string, path: string): Promise<T> {
  return new Promise((resolve, reject) => {
    const call = request({ socketPath, path, timeout: 5000 }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        if (response.statusCode === 200) resolve(JSON.parse(text) as T);
        else reject(new Error(`GET ${path}: ${response.statusCode} ${text}`));
      });
    });
    call.on("timeout", () => call.destroy(new Error(`GET ${path}: no answer in 5 s`)));
    call.on("error", reject);
    call.end();
  });
}
