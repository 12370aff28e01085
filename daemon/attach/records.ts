/**
 * What the daemon answers for, kept on disk: one file an attachment, read once at start. "pending" means being made or
 * unmade, and is undone when found at start.
 */
import { hash } from "node:crypto";
import { PortwrightError } from "../errors.ts";
import { type Attachment, NO_FEATURES } from "../model/attachment.ts";
import { VlanSet } from "../model/vlan-set.ts";
import { isObject, type JsonObject } from "../safe-json.ts";
import { Fields, parseJsonObject } from "./decode.ts";
import type { RecordFiles } from "../state/record-files.ts";

/** A CNI request as it came: what undoing its IPAM part needs. */
export interface CniCall {
  readonly env: Readonly<Record<string, string>>;
  readonly stdin: string;
}

export interface AttachmentRecord {
  readonly attachment: Attachment;
  /** 0 until the port is made */
  readonly containerIfindex: number;
  /** which life of the host's kernel objects this speaks of; see epoch.ts */
  readonly epoch: string;
  readonly cni: CniCall | null;
}

const FORMAT = 1;

export function encodeRecord(record: AttachmentRecord): string {
  const text = JSON.stringify(record);
  return `{"version":${FORMAT},"checksum":"${checksum(text)}","record":${text}}\n`;
}

/** Throws if the text is not what encodeRecord made. */
export function decodeRecord(text: string): AttachmentRecord {
  const file = parseJsonObject(text, "the record", "STATE_IO");
  if (file.version !== FORMAT) throw corrupt(`its format ${JSON.stringify(file.version)} is not known`);
  if (!isObject(file.record) || !isObject(file.record.attachment)) throw corrupt("it holds no attachment");
  // Parsing and writing keep the order of keys, so the text is what was summed.
  if (file.checksum !== checksum(JSON.stringify(file.record))) throw corrupt("its checksum does not match");
  const record = file.record as unknown as AttachmentRecord; // by the checksum, encodeRecord wrote it
  const { attachment } = record;
  // A record of an earlier version knows less: such a port has none of the newer features.
  const missing = Object.entries(NO_FEATURES).filter(([feature]) => !(feature in attachment));
  // Before there was mtuAsked every interface kept the MTU of its attach: one that was asked for does.
  const { mtuAsked = attachment.mtu } = attachment as Partial<Attachment>;
  return {
    ...record,
    attachment: { ...attachment, ...Object.fromEntries(missing), mtuAsked, vlans: decodeVlans(file.record.attachment) },
  };
}

function decodeVlans(attachment: JsonObject): Attachment["vlans"] {
  const vlans = new Fields(attachment, "attachment", "STATE_IO").object("vlans");
  const mode = vlans?.string("mode");
  const defaultVlan = vlans?.boolean("defaultVlan") === true ? ({ defaultVlan: true } as const) : {};
  switch (mode) {
    case "access":
      return { mode, vlan: vlans?.integer("vlan", 1, 4094) ?? 0, ...defaultVlan };
    case "untagged":
      return { mode };
    case "trunk":
      return {
        mode,
        tagged: VlanSet.parse(vlans?.string("tagged") ?? ""),
        native: vlans?.integer("native", 0, 4094) ?? 0,
        ...defaultVlan,
      };
    default:
      throw corrupt("its VLANs cannot be read");
  }
}

function checksum(text: string): string {
  return hash("sha256", text);
}

function corrupt(why: string): PortwrightError {
  return new PortwrightError("STATE_IO", `the record is not usable: ${why}`);
}

/** Identifiers may hold characters and lengths that files may not. */
export function recordFileName(id: string): string {
  return `${hash("sha256", id).slice(0, 40)}.json`;
}

const FLUSH_AFTER_MS = 1000;

export interface RecordsLog {
  warn(fields: object, message: string): void;
}

export class Records {
  readonly #files: RecordFiles;
  readonly #log: RecordsLog;
  readonly #unflushed = new Set<string>();
  readonly #records = new Map<string, AttachmentRecord>();
  /** files that were set aside because they could not be read */
  readonly corrupt: readonly string[];

  constructor(files: RecordFiles, log: RecordsLog) {
    this.#files = files;
    this.#log = log;
    const bad: string[] = [];
    for (const name of files.names()) {
      try {
        const record = decodeRecord(files.read(name));
        if (recordFileName(record.attachment.id) !== name) throw corrupt("it is under another's name");
        this.#records.set(record.attachment.id, record);
      } catch (error) {
        bad.push(name);
        log.warn({ file: name, error }, "a record of an attachment cannot be read and is set aside");
        this.#setAside(name);
      }
    }
    this.corrupt = bad;
  }

  get(id: string): AttachmentRecord | undefined {
    return this.#records.get(id);
  }

  all(): readonly AttachmentRecord[] {
    return [...this.#records.values()];
  }

  /**
   * No fsync: a power cut that takes this record takes the kernel's objects, too, and the runtime deletes the
   * containers that died with it. Against a crash of the daemon alone the page cache is enough.
   */
  putPending(record: AttachmentRecord): void {
    const pending = withState(record, "pending");
    this.#files.write(recordFileName(pending.attachment.id), encodeRecord(pending));
    this.#records.set(pending.attachment.id, pending);
  }

  /** As putPending, on the way out: a disk that is full must not keep anything from being removed. */
  markPending(record: AttachmentRecord): void {
    try {
      this.putPending(record);
    } catch (error) {
      this.#log.warn({ attachment: record.attachment.id, error }, "a removal cannot be noted on disk; it goes on");
      this.#records.set(record.attachment.id, withState(record, "pending"));
    }
  }

  /**
   * As good as putPending. Of an attachment only an address outlives a power cut, so one that has any is on disk for
   * good a second later, together with others: what a disk takes for that delays no workload, this one or the next. A
   * power cut within the second leaves the address to the runtime's DEL or GC, which ask IPAM whether there is a record
   * or not.
   */
  putReady(record: AttachmentRecord): void {
    const ready = withState(record, "ready");
    const name = recordFileName(ready.attachment.id);
    this.#files.write(name, encodeRecord(ready));
    this.#records.set(ready.attachment.id, ready);
    if (ready.attachment.ips.length === 0) return;
    if (this.#unflushed.size === 0) setTimeout(() => void this.#flushAll(), FLUSH_AFTER_MS).unref();
    this.#unflushed.add(name);
  }

  /** `mtu`: see Attachment. No fsync: see putPending. Nothing for one that is being made or unmade. */
  putMtu(id: string, mtu: number): void {
    this.#amend(id, { mtu });
  }

  /** As putMtu; what stays as it was is not written. A disk that is full is no fault of the port. */
  putIndex(id: string, hostIfindex: number): void {
    if (this.#records.get(id)?.attachment.hostIfindex === hostIfindex) return;
    try {
      this.#amend(id, { hostIfindex });
    } catch (error) {
      this.#log.warn({ attachment: id, error }, "the index of a port cannot be noted on disk");
    }
  }

  #amend(id: string, change: Partial<Pick<Attachment, "mtu" | "hostIfindex">>): void {
    const record = this.#records.get(id);
    if (record?.attachment.state !== "ready") return;
    const changed = { ...record, attachment: { ...record.attachment, ...change } };
    this.#files.write(recordFileName(id), encodeRecord(changed));
    this.#records.set(id, changed);
  }

  /** On disk for good when it resolves. Of one that is ready. */
  async putGate(id: string, gated: boolean): Promise<Attachment> {
    const record = this.#records.get(id);
    if (record?.attachment.state !== "ready") throw new PortwrightError("ATTACHMENT_UNKNOWN", `${id} is not attached`);
    const attachment = { ...record.attachment, gated };
    const name = recordFileName(id);
    // Written at once, then flushed: a change that comes meanwhile is not overtaken.
    this.#files.write(name, encodeRecord({ ...record, attachment }));
    this.#records.set(id, { ...record, attachment });
    await this.#files.flush(name);
    return attachment;
  }

  /** Without fsync: a record that a power cut brings back is of an earlier epoch, and goes at the next start. */
  remove(id: string): void {
    this.#files.remove(recordFileName(id));
    this.#records.delete(id);
  }

  async #flushAll(): Promise<void> {
    const names = [...this.#unflushed];
    this.#unflushed.clear();
    try {
      await this.#files.flush(...names);
    } catch (error) {
      this.#log.warn({ files: names, error }, "records of attachments cannot be flushed to disk");
    }
  }

  #setAside(name: string): void {
    try {
      this.#files.setAside(name);
    } catch (error) {
      this.#log.warn({ file: name, error }, "the record cannot even be renamed");
    }
  }
}

function withState(record: AttachmentRecord, state: Attachment["state"]): AttachmentRecord {
  return record.attachment.state === state ? record : { ...record, attachment: { ...record.attachment, state } };
}
