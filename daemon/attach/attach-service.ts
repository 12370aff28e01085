/**
 * The attach room's front: CNI requests and those of other clients, one at a time for a container, against durable
 * records. At start `recover` puts things in order before anything new is attached.
 */
import type { AttachRequest } from "../api/backend.ts";
import { PortwrightError } from "../errors.ts";
import { isKernelError } from "../kernel/kernel-error.ts";
import type { Kernel, Link, LinkRef, NetnsHandle } from "../kernel/kernel.ts";
import type { Attachment } from "../model/attachment.ts";
import type { Intent } from "../model/resources.ts";
import { type Addressing, ipamAddressing } from "./addressing.ts";
import type { AttachLog } from "./attach-log.ts";
import { Attachments, type AttachSpec, attachmentId, type Made } from "./attachments.ts";
import { parseAttachRequest } from "./attach-request.ts";
import { errorReply, toPortwrightError, versionForError } from "./cni-error.ts";
import type { CniReply, CniRequest } from "./cni-request.ts";
import { type CniHost, CniVerbs, type DeleteCall, ipamCall } from "./cni-verbs.ts";
import { type Collected, collectGarbage, type Garbage } from "./collector.ts";
import type { DeleteQueue } from "./delete-queue.ts";
import { type Addresses, Ipam } from "./ipam.ts";
import { KeyedLock } from "../async/keyed-lock.ts";
import type { NetworkHealth } from "./network-verbs.ts";
import type { Masquerade } from "./masquerade.ts";
import { openAttachment } from "./opening.ts";
import type { PortMaker } from "./port-maker.ts";
import { QueuedDeletes } from "./queued-deletes.ts";
import type { AttachmentRecord, Records } from "./records.ts";
import type { CniResult } from "./result.ts";

export interface AttachServiceOptions {
  readonly portMaker: PortMaker;
  readonly records: Records;
  readonly deleteQueue: DeleteQueue;
  readonly masquerade: Pick<Masquerade, "add" | "remove" | "verify">;
  readonly kernel: Pick<Kernel, "openNetns" | "enter" | "runProgram">;
  /** the managed namespace: nobody is attached into it, and its bridges' MACs go into CNI results */
  readonly host: { readonly handle: Pick<NetnsHandle, "device" | "inode">; link(ref: LinkRef): Promise<Link | null> };
  readonly intent: () => Pick<Intent, "networks">;
  /** what STATUS says of a cluster network */
  readonly health: (clusterNetwork: string) => Promise<NetworkHealth>;
  /** see epoch.ts */
  readonly epoch: string;
  readonly log: AttachLog;
  readonly ipam?: Addresses;
  readonly onEvent?: (type: "attached" | "opened" | "detached", attachment: Attachment) => void;
  /** after each CNI request; `command` is one of a few words, fit for a label */
  readonly onCniRequest?: (command: string, result: "success" | "error", seconds: number) => void;
  /** attachments being made, waiting ones included, before new ones are told to come again */
  readonly maxQueued?: number;
  readonly now?: () => Date;
}

/** How often what could not be undone is tried again. */
const RETRY_INTERVAL_MS = 60_000;

export class AttachService {
  readonly #options: AttachServiceOptions;
  readonly #attachments: Attachments;
  readonly #verbs: CniVerbs;
  readonly #ipam: Addresses;
  /** held while a container's interface is worked on */
  readonly #locks = new KeyedLock<string>();
  /** Held by a client's request from its arrival on: a DEL must not overtake an ADD that still waits for something. */
  readonly #turns = new KeyedLock<string>();
  readonly #recovered: Promise<void>;
  #markRecovered: () => void = () => {};
  #retryTimer: NodeJS.Timeout | undefined;
  readonly #queued: QueuedDeletes;
  #making = 0;

  constructor(options: AttachServiceOptions) {
    this.#options = options;
    this.#ipam = options.ipam ?? new Ipam(options.kernel);
    this.#attachments = new Attachments({ now: () => new Date(), ...options });
    this.#recovered = new Promise((resolve) => {
      this.#markRecovered = resolve;
    });
    const host: CniHost = {
      ipam: this.#ipam,
      log: options.log,
      intent: options.intent,
      openNetns: (path, allowOwn) => this.#openNetns(path, allowOwn),
      collect: (garbage) => this.#collect(garbage),
      health: options.health,
      record: (id) => options.records.get(id),
      make: (spec) => this.#make(spec),
      unmake: (id, wanted, call) => this.#inTurn(id, () => this.#unmake(id, wanted, call)),
      verify: (id, netns, prevResult) => this.#inTurn(id, () => this.#verify(id, netns, prevResult)),
    };
    this.#verbs = new CniVerbs(host);
    // Others wait for the queue of deletions: it cannot wait for its turn.
    const verbs = new CniVerbs({ ...host, unmake: (id, wanted, call) => this.#unmake(id, wanted, call) });
    this.#queued = new QueuedDeletes(options.deleteQueue, options.log, (request) => this.#answer(request, verbs));
  }

  /** Answers every request, whatever happens. */
  async cni(request: CniRequest): Promise<CniReply> {
    return await this.#answer(request, this.#verbs);
  }

  async #answer(request: CniRequest, verbs: CniVerbs): Promise<CniReply> {
    const started = performance.now();
    const command = /^(ADD|DEL|CHECK|GC|STATUS)$/.exec(request.env.CNI_COMMAND ?? "")?.[0] ?? "other";
    let stderr = "";
    const collect = (text: string) => {
      stderr += text;
    };
    const settle = (result: "success" | "error") =>
      this.#options.onCniRequest?.(command, result, (performance.now() - started) / 1000);
    try {
      const stdout = await verbs.run(request, collect);
      settle("success");
      return { exitCode: 0, stdout, stderr };
    } catch (cause) {
      settle("error");
      const error = toPortwrightError(cause);
      const level = error.code === "INTERNAL" || error.code === "KERNEL" ? "error" : "warn";
      const { CNI_CONTAINERID: containerId, CNI_IFNAME: name } = request.env;
      this.#options.log[level]({ command, containerId, interface: name, error }, "a CNI request failed");
      return errorReply(error, versionForError(request.stdin), stderr);
    }
  }

  /** For clients that are not CNI. Resolves when frames flow. */
  async attach(request: AttachRequest): Promise<Attachment> {
    const parsed = parseAttachRequest(request, this.#options.intent());
    const netns = parsed.netnsPath === "" ? null : this.#openNetns(parsed.netnsPath, false);
    try {
      return (await this.#make({ ...parsed, netns })).attachment;
    } finally {
      netns?.close();
    }
  }

  /** Resolves when the interface is gone from the workload. */
  async detach(id: string): Promise<void> {
    if ((await this.#inTurn(id, () => this.#unmake(id, () => true, null))) === "none")
      throw new PortwrightError("ATTACHMENT_UNKNOWN", `${JSON.stringify(id.slice(0, 200))} is not attached`);
  }

  /** Opens the port of one that was attached closed; see opening.ts. */
  async open(id: string): Promise<Attachment> {
    return await this.#inTurn(id, () => this.#locks.run(containerOf(id), () => openAttachment(this.#options, id)));
  }

  /** Removes what is verifiably gone, whoever asked for it. */
  async collect(): Promise<Collected> {
    return await this.#collect({ concerns: () => true, valid: null });
  }

  /** "ready" ones have a port in the kernel, as far as we know. */
  list(): readonly Attachment[] {
    const { records, epoch } = this.#options;
    return records
      .all()
      .map(({ attachment, epoch: of }) => (of === epoch ? attachment : { ...attachment, state: "pending" }));
  }

  /** To be called once ports can be made and unmade: undoes what was pending, does the deletions that came meanwhile. */
  async recover(): Promise<void> {
    await this.#retry();
    this.#markRecovered();
    this.#retryTimer = setInterval(() => void this.#retry(), RETRY_INTERVAL_MS).unref();
  }

  close(): void {
    clearInterval(this.#retryTimer);
  }

  async #make(spec: AttachSpec): Promise<Made> {
    const { records, onEvent, maxQueued = 256 } = this.#options;
    if (this.#making >= maxQueued)
      throw new PortwrightError("BUSY", `${this.#making} interfaces are being attached already`);
    this.#making++;
    try {
      const id = attachmentId(spec.containerId, spec.interface);
      const made = await this.#inTurn(id, async () => {
        await this.#queued.drain();
        return await this.#locks.run(spec.containerId, async () => {
          await this.#clear(records.get(id));
          return await this.#attachments.make(spec);
        });
      });
      onEvent?.("attached", made.attachment);
      return made;
    } finally {
      this.#making--;
    }
  }

  /** What an earlier attempt left behind goes before a new one; what is in use stays. */
  async #clear(previous: AttachmentRecord | undefined): Promise<void> {
    if (previous === undefined) return;
    const { id, state } = previous.attachment;
    if (state === "ready") throw new PortwrightError("ATTACHMENT_EXISTS", `${id} is attached already`);
    if (!(await this.#attachments.unmake(previous, this.#addressingOf(previous))).released)
      throw new PortwrightError("BUSY", `the addresses that ${id} had before are not given back yet`);
  }

  async #inTurn<T>(id: string, work: () => Promise<T>): Promise<T> {
    return await this.#turns.run(containerOf(id), async () => {
      await this.#recovered;
      return await work();
    });
  }

  async #unmake(
    id: string,
    wanted: (record: AttachmentRecord) => boolean,
    call: DeleteCall | null,
  ): Promise<"gone" | "none"> {
    const { records, onEvent } = this.#options;
    const gone = await this.#locks.run(containerOf(id), async () => {
      const record = records.get(id);
      if (record === undefined || !wanted(record)) return null;
      const current = withCall(record, call);
      await this.#attachments.unmake(current, this.#addressingOf(current, call?.stderr));
      return record.attachment;
    });
    if (gone === null) return "none";
    if (gone.state === "ready") onEvent?.("detached", gone);
    return "gone";
  }

  async #collect(garbage: Garbage): Promise<Collected> {
    await this.#recovered;
    const { records, kernel, host, log } = this.#options;
    const unmake = (id: string, wanted: (record: AttachmentRecord) => boolean) =>
      this.#inTurn(id, () => this.#unmake(id, wanted, null));
    const collected = await collectGarbage({ records, kernel, host, unmake }, garbage);
    if (collected.removed.length > 0) log.info({ attachments: collected.removed }, "garbage was collected");
    return collected;
  }

  async #verify(id: string, netns: NetnsHandle, prevResult: CniResult): Promise<readonly string[]> {
    return await this.#locks.run(containerOf(id), async () => {
      const record = this.#options.records.get(id);
      if (record === undefined) throw new PortwrightError("ATTACHMENT_UNKNOWN", `${id} is not attached`);
      return await this.#attachments.verify(record, netns, prevResult);
    });
  }

  /** null: there is no IPAM to tell */
  #addressingOf({ attachment, cni }: AttachmentRecord, stderr?: (text: string) => void): Addressing | null {
    const { origin, id } = attachment;
    if (origin.kind !== "cni" || origin.ipamType === "" || cni === null) return null;
    const note =
      stderr ?? ((text: string) => this.#options.log.debug({ attachment: id, text }, "IPAM wrote to stderr"));
    return ipamAddressing(this.#ipam, ipamCall(origin.ipamType, cni, note));
  }

  /** Undoes what is pending, or of an earlier epoch, and does the queued deletions. Never rejects. */
  async #retry(): Promise<void> {
    const { records, epoch, log } = this.#options;
    const isDue = (record: AttachmentRecord | undefined): record is AttachmentRecord =>
      record !== undefined && (record.attachment.state === "pending" || record.epoch !== epoch);
    const due = records.all().filter(isDue);
    await Promise.all(
      due.map(async ({ attachment: { id } }) => {
        try {
          await this.#locks.run(containerOf(id), async () => {
            const record = records.get(id); // it may have become ready, or have gone, while we waited
            if (isDue(record)) await this.#attachments.unmake(record, this.#addressingOf(record));
          });
        } catch (error) {
          log.error({ attachment: id, error }, "an unfinished attachment cannot be undone; will try again");
        }
      }),
    );
    this.#queued.forgive();
    await this.#queued.drain();
  }

  /** Opened and checked once; the path is never used again. */
  #openNetns(path: string, allowOwn: boolean): NetnsHandle {
    // A relative path would mean another file here than it did to the caller.
    if (!path.startsWith("/")) throw new PortwrightError("NETNS_INVALID", `${JSON.stringify(path)} is not absolute`);
    let handle: NetnsHandle;
    try {
      handle = this.#options.kernel.openNetns(path);
    } catch (error) {
      if (isKernelError(error)) throw new PortwrightError("NETNS_INVALID", error.message, { cause: error });
      throw error;
    }
    const managed = this.#options.host.handle;
    const isHost = handle.isOwn || (handle.device === managed.device && handle.inode === managed.inode);
    if (!isHost || allowOwn) return handle;
    handle.close();
    throw new PortwrightError("NETNS_OWN", `${path} is the host's own network namespace`);
  }
}

function containerOf(id: string): string {
  return id.slice(0, Math.max(0, id.lastIndexOf("/")));
}

/** The newer request counts, also for another attempt: CNI_PATH may have moved. But only if it means the same IPAM. */
function withCall(record: AttachmentRecord, call: DeleteCall | null): AttachmentRecord {
  const { origin } = record.attachment;
  if (call === null || record.cni === null || origin.kind !== "cni" || origin.ipamType !== call.ipamType) return record;
  return { ...record, cni: { env: call.env, stdin: call.stdin } };
}
