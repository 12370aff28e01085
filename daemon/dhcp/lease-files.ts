/** Leases on disk, a file an interface: a restart goes on with what the server gave, and asks for the same again. */
import type { Log } from "../log.ts";
import { isHostAddress, parseCidr } from "../model/ip.ts";
import type { Lease } from "../model/lease.ts";
import { RecordFiles } from "../state/record-files.ts";
import { isObject } from "../safe-json.ts";

export class LeaseFiles {
  readonly #files: RecordFiles;
  readonly #log: Log;

  constructor(directory: string, log: Log) {
    this.#files = new RecordFiles(directory);
    this.#log = log;
  }

  /** What cannot be read is set aside: the server will be asked. */
  load(): readonly Lease[] {
    return this.#files.names().flatMap((name) => {
      const lease = parseLease(this.#text(name));
      if (lease !== null && fileOf(lease.device) === name) return [lease];
      this.#log.warn({ name }, "a kept lease cannot be read; the server will be asked");
      this.#files.setAside(name);
      return [];
    });
  }

  /** A disk that is full costs the lease's memory, not the address. */
  save(lease: Lease): void {
    this.#attempt(() => this.#files.write(fileOf(lease.device), `${JSON.stringify(lease)}\n`));
  }

  remove(device: string): void {
    this.#attempt(() => this.#files.remove(fileOf(device)));
  }

  #text(name: string): string {
    try {
      return this.#files.read(name);
    } catch {
      return "";
    }
  }

  #attempt(work: () => void): void {
    try {
      work();
    } catch (error) {
      this.#log.error({ err: error }, "a lease is not kept as it is: a restart may ask for another address");
    }
  }
}

/** A cluster network's name is a DNS label, so that the device's makes no path. */
function fileOf(device: string): string {
  return `${device}.json`;
}

function parseLease(text: string): Lease | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  const { device, address, prefixLength, server, obtainedAt, expiresAt } = value;
  if (typeof device !== "string" || typeof address !== "string" || typeof server !== "string") return null;
  if (typeof prefixLength !== "number" || typeof obtainedAt !== "string" || typeof expiresAt !== "string") return null;
  const cidr = parseCidr(`${address}/${prefixLength}`);
  if (cidr?.family !== 4 || !isHostAddress(cidr, { family: 4, value: cidr.address })) return null;
  if (Number.isNaN(Date.parse(obtainedAt)) || Number.isNaN(Date.parse(expiresAt))) return null;
  return { device, address, prefixLength, server, obtainedAt, expiresAt };
}
