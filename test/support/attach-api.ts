/** The attach API as a client that is not CNI uses it, over the daemon's socket. */
import { request } from "node:http";
import type { AttachmentView } from "../../daemon/api/views.ts";

export interface AttachAnswer {
  readonly status: number;
  readonly attachment: AttachmentView;
}

export function attachApi(socketPath: string, method: string, path: string, body?: object): Promise<AttachAnswer> {
  const headers = body === undefined ? {} : { "content-type": "application/json" };
  return new Promise((resolve, reject) => {
    const sent = request({ socketPath, path, method, headers }, (response) => {
      const chunks: Buffer[] = [];
      response.on("data", (chunk: Buffer) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const text = Buffer.concat(chunks).toString("utf8");
        resolve({ status: response.statusCode ?? 0, attachment: text === "" ? {} : JSON.parse(text) });
      });
    });
    sent.on("error", reject);
    sent.end(body === undefined ? undefined : JSON.stringify(body));
  });
}
