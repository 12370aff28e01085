/** What API tests share: an in-memory Backend, a private run directory, and a plain HTTP client over sockets. */
import { EventEmitter } from "node:events";
import { mkdtempSync, rmSync } from "node:fs";
import { type IncomingHttpHeaders, request as httpRequest } from "node:http";
import { tmpdir } from "node:os";
import path from "node:path";
import { Registry } from "prom-client";
import type { ApplyRequest, AttachRequest, Backend, PortwrightEvent } from "../../daemon/api/backend.ts";
import type { RejectReason } from "../../daemon/api/reject.ts";
import { type Api, type ApiOptions, startApi } from "../../daemon/api/server.ts";
import type { CniReply, CniRequest } from "../../daemon/attach/cni-request.ts";
import type { FdbEntry, PortCounters } from "../../daemon/datapath/datapath.ts";
import { PortwrightError } from "../../daemon/errors.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import type { Log } from "../../daemon/log.ts";
import type { Attachment } from "../../daemon/model/attachment.ts";
import type { PortStatus, Status } from "../../daemon/model/status.ts";
import type { ApplyAnswer, PlanView, TransactionStatus } from "../../daemon/model/transaction.ts";
import { attachment, counters, port, status } from "./api-samples.ts";

export class FakeBackend implements Backend {
  readonly events = new EventEmitter();
  readonly metrics = new Registry();
  readonly cniCalls: CniRequest[] = [];
  readonly store = new Map<string, Attachment>();
  /** set to make the next calls fail or wait */
  before: () => Promise<void> = async () => {};
  /** The next calls wait until they are let go. */
  hold(): { readonly entered: Promise<void>; readonly letGo: () => void } {
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    const entered = new Promise<void>((resolve) => {
      this.before = () => {
        resolve();
        return held;
      };
    });
    return { entered, letGo };
  }
  health = { ok: true, reasons: [] as string[] };
  readiness = { ok: true, reasons: [] as string[] };
  portList: PortStatus[] = [port("pwveth1", 7)];

  async attach(request: AttachRequest): Promise<Attachment> {
    await this.before();
    const made = attachment(request);
    if (this.store.has(made.id)) throw new PortwrightError("ATTACHMENT_EXISTS", `${made.id} is attached`);
    this.store.set(made.id, made);
    return made;
  }
  async open(id: string): Promise<Attachment> {
    await this.before();
    const found = this.store.get(id);
    if (!found) throw new PortwrightError("ATTACHMENT_UNKNOWN", `there is no attachment ${id}`);
    const opened = { ...found, gated: false };
    this.store.set(id, opened);
    return opened;
  }
  async detach(id: string): Promise<void> {
    await this.before();
    if (!this.store.delete(id)) throw new PortwrightError("ATTACHMENT_UNKNOWN", `there is no attachment ${id}`);
  }
  async collect() {
    await this.before();
    return { removed: ["gone/eth0"], failed: [{ id: "stuck/eth0", message: "busy" }] };
  }
  attachments(): readonly Attachment[] {
    return [...this.store.values()];
  }
  async cni(request: CniRequest): Promise<CniReply> {
    await this.before();
    this.cniCalls.push(request);
    return { exitCode: 0, stdout: '{"cniVersion":"1.1.0"}', stderr: "" };
  }
  readonly applied: ApplyRequest[] = [];
  async plan(): Promise<PlanView> {
    const step = { op: "set-port", object: "nic0", impact: "none", text: "change port nic0", touches: [] } as const;
    return { impact: "none", steps: [step], conditions: [] };
  }
  async apply(request: ApplyRequest): Promise<ApplyAnswer> {
    await this.before();
    this.applied.push(request);
    return this.transaction();
  }
  async confirm(): Promise<ApplyAnswer> {
    await this.before();
    return this.transaction();
  }
  async rollBack(): Promise<TransactionStatus> {
    await this.before();
    return status.transaction;
  }
  transaction(): ApplyAnswer {
    return { ...status.transaction, steps: [] };
  }
  async status(): Promise<Status> {
    await this.before();
    return status;
  }
  async ports(): Promise<readonly PortStatus[]> {
    return this.portList;
  }
  async counters(): Promise<readonly PortCounters[]> {
    return [counters(7)];
  }
  async fdb(): Promise<readonly FdbEntry[]> {
    return [{ mac: "02:00:00:00:00:01", switchId: 0, vlan: 100, ifindex: 7, isStatic: false, age: 1.5 }];
  }
  async mapUse() {
    return [{ map: "fdb", entries: 1, maxEntries: 65_536 }];
  }
  subscribe(listener: (event: PortwrightEvent) => void): () => void {
    this.events.on("event", listener);
    return () => this.events.off("event", listener);
  }
  emit(event: PortwrightEvent): void {
    this.events.emit("event", event);
  }
  get subscribers(): number {
    return this.events.listenerCount("event");
  }
  async healthy() {
    return this.health;
  }
  async ready() {
    return this.readiness;
  }
}

export interface LogRecord {
  readonly level: string;
  readonly fields: Record<string, unknown>;
  readonly message: string;
}

export function recordingLog(): { log: Log; records: LogRecord[] } {
  const records: LogRecord[] = [];
  const at = (level: string) => (fields: unknown, message?: string) =>
    void records.push(
      typeof fields === "string"
        ? { level, fields: {}, message: fields }
        : { level, fields: fields as Record<string, unknown>, message: message ?? "" },
    );
  const log = Object.fromEntries(["debug", "info", "warn", "error", "fatal"].map((l) => [l, at(l)]));
  return { log: log as unknown as Log, records };
}

export interface TestApi {
  readonly api: Api;
  readonly backend: FakeBackend;
  readonly directory: string;
  readonly runDirectory: string;
  readonly records: LogRecord[];
  readonly rejected: RejectReason[];
  readonly cni: Client;
  readonly admin: Client;
  readonly read: Client;
  readonly http: Client;
  close(): Promise<void>;
}

/** An answer that the HTTP server did not write: that names its headers in small letters. */
export const BY_PLUGIN_CALLS = /^HTTP\/1\.1 \d+ [^\r]+\r\nConnection: close\r\n/;

export const rootPeer = {
  peerCredentials: () => ({ pid: 1, uid: 0, gid: 0 }),
  acceptCalls: nativeKernel().acceptCalls,
};

export async function startTestApi(options: Partial<ApiOptions> = {}): Promise<TestApi> {
  const directory = mkdtempSync(path.join(tmpdir(), `pw-api-${process.pid}-`));
  const runDirectory = path.join(directory, "run");
  const backend = new FakeBackend();
  const { log, records } = recordingLog();
  const rejected: RejectReason[] = [];
  const remove = () => rmSync(directory, { recursive: true, force: true });
  try {
    const api = await startApi({
      backend,
      kernel: rootPeer,
      runDirectory,
      http: { host: "127.0.0.1", port: 0 },
      log,
      onRejected: (reason) => void rejected.push(reason),
      env: {},
      ...options,
    });
    return {
      api,
      backend,
      directory,
      runDirectory,
      records,
      rejected,
      cni: client({ socketPath: api.addresses.cni }),
      admin: client({ socketPath: api.addresses.admin }),
      read: client({ socketPath: api.addresses.read }),
      http: client(httpTarget(api.addresses.http)),
      close: async () => {
        await api.close();
        remove();
      },
    };
  } catch (error) {
    remove();
    throw error;
  }
}

function httpTarget(address: string | null): Target {
  if (address === null) return { host: "127.0.0.1", port: 1 };
  const { hostname, port: number } = new URL(address);
  return { host: hostname.replace(/[[\]]/g, ""), port: Number(number) };
}

export type Target = { readonly socketPath: string } | { readonly host: string; readonly port: number };

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: Buffer;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  readonly json: any;
}

export type Client = (
  method: string,
  url: string,
  options?: { readonly body?: unknown; readonly headers?: Record<string, string> },
) => Promise<Answer>;

/** A body that is no Buffer or string is sent as JSON. One connection a call. */
export function client(target: Target): Client {
  return (method, url, { body, headers = {} } = {}) =>
    new Promise((resolve, reject) => {
      const isRaw = typeof body === "string" || Buffer.isBuffer(body);
      const payload = body === undefined ? undefined : isRaw ? body : JSON.stringify(body);
      const type = body === undefined ? {} : { "content-type": "application/json" };
      const isChunked = "transfer-encoding" in headers;
      const length = payload === undefined || isChunked ? {} : { "content-length": String(Buffer.byteLength(payload)) };
      const req = httpRequest(
        { ...target, method, path: url, agent: false, headers: { ...type, ...length, ...headers } },
        (res) => {
          const chunks: Buffer[] = [];
          res.on("data", (chunk: Buffer) => chunks.push(chunk));
          res.on("error", reject);
          res.on("end", () => {
            const bytes = Buffer.concat(chunks);
            const text = bytes.toString("utf8");
            const isJson = res.headers["content-type"]?.startsWith("application/json") === true;
            resolve({
              status: res.statusCode ?? 0,
              headers: res.headers,
              body: bytes,
              text,
              json: isJson ? JSON.parse(text) : undefined,
            });
          });
        },
      );
      req.on("error", reject);
      req.end(payload);
    });
}
