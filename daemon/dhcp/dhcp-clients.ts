/**
 * Keeps a DHCP client for each interface that wants one, and the leases that they got. The addresses themselves are put
 * on the links, and repaired, by the reconciler: a lease is something that it wants, like an address of the intent.
 */
import type { Log } from "../log.ts";
import type { Lease } from "../model/lease.ts";
import { messageOf } from "../thrown.ts";
import type { ClientEvents, DhcpClient } from "./client.ts";
import { type DhcpEvent, parseEvent } from "./event.ts";
import type { LeaseFiles } from "./lease-files.ts";

export interface DhcpClientsOptions {
  readonly files: Pick<LeaseFiles, "load" | "save" | "remove">;
  readonly start: (device: string, request: string, events: ClientEvents) => DhcpClient;
  readonly log: Log;
  /** an address came, changed or went; a client does not run, or does again */
  readonly onChange: () => void;
  /** ms since 1970; leases outlive this process */
  readonly now?: () => number;
}

/** ms before a client that ended is started again: doubled from the first to the last as long as it ends soon. */
const FIRST_RETRY = 1000;
const LAST_RETRY = 60_000;
/** ms: the most that a timer can wait is 2^31-1 */
const LONGEST_WAIT = 86_400_000;

interface Running {
  /** which link the client knows: a link made anew needs a new client */
  readonly ifindex: number;
  readonly mac: string;
  client: DhcpClient | null;
  startedAt: number;
  /** the client has said that nothing is configured, as it does when it starts */
  hasBegun: boolean;
  /** why it ended, until one has begun again; empty: it did not */
  fault: string;
  retry: NodeJS.Timeout | null;
  delay: number;
}

export class DhcpClients {
  readonly #options: DhcpClientsOptions;
  readonly #now: () => number;
  readonly #running = new Map<string, Running>();
  readonly #leases = new Map<string, Lease>();
  /** clients that are being ended */
  readonly #ending = new Set<Promise<void>>();
  #expiry: NodeJS.Timeout | null = null;
  #closed = false;

  constructor(options: DhcpClientsOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
    for (const lease of options.files.load()) this.#leases.set(lease.device, lease);
    for (const device of this.#expired()) this.#forget(device);
    this.#wait();
  }

  /** In force now, by device. */
  get leases(): ReadonlyMap<string, Lease> {
    const now = this.#now();
    return new Map([...this.#leases].filter(([, lease]) => Date.parse(lease.expiresAt) > now));
  }

  /** Why the client of an interface that has no lease does not run, by device. */
  get faults(): ReadonlyMap<string, string> {
    const { leases } = this;
    return new Map(
      [...this.#running].flatMap(([device, { fault }]) =>
        fault === "" || leases.has(device) ? [] : [[device, fault] as const],
      ),
    );
  }

  /** Which interfaces want an address from a server; null: its link is not there now, and its lease is kept for it. */
  want(devices: ReadonlyMap<string, { readonly ifindex: number; readonly mac: string } | null>): void {
    if (this.#closed) return;
    for (const device of this.#leases.keys()) {
      if (!devices.has(device)) this.#forget(device);
    }
    for (const [device, { ifindex, mac }] of this.#running) {
      const wanted = devices.get(device);
      if (wanted?.ifindex !== ifindex || wanted.mac !== mac) this.#end(device);
    }
    for (const [device, link] of devices) {
      if (link === null || this.#running.has(device)) continue;
      const fresh = { client: null, startedAt: 0, hasBegun: false, fault: "", retry: null, delay: FIRST_RETRY };
      this.#running.set(device, { ...link, ...fresh });
      this.#start(device);
    }
  }

  /** Clients end; leases, and the addresses with them, stay. */
  async close(): Promise<void> {
    this.#closed = true;
    if (this.#expiry) clearTimeout(this.#expiry);
    for (const device of [...this.#running.keys()]) this.#end(device);
    await Promise.all(this.#ending);
  }

  #start(device: string): void {
    const running = this.#running.get(device);
    if (!running) return;
    const { log, start } = this.#options;
    running.startedAt = this.#now();
    running.hasBegun = false;
    let last = "";
    const isCurrent = (): boolean => this.#running.get(device) === running;
    running.client = start(device, this.#leases.get(device)?.address ?? "", {
      onLine: (line) => {
        if (isCurrent()) this.#heard(device, running, line);
      },
      onLog: (line) => {
        last = line;
        log.debug({ device, line }, "DHCP client");
      },
      onEnd: (reason) => {
        running.client = null;
        if (!isCurrent() || this.#closed) return;
        if (this.#now() - running.startedAt > LAST_RETRY) running.delay = FIRST_RETRY;
        log.warn({ device, reason, last, again: `in ${running.delay / 1000} s` }, "the DHCP client ended");
        running.retry = setTimeout(() => this.#start(device), running.delay);
        running.delay = Math.min(LAST_RETRY, running.delay * 2);
        this.#setFault(running, last === "" ? reason : last);
      },
    });
  }

  #end(device: string): void {
    const running = this.#running.get(device);
    this.#running.delete(device);
    if (running?.retry) clearTimeout(running.retry);
    const ended = running?.client?.stop();
    if (!ended) return;
    const noted = ended.catch((error: unknown) => {
      this.#options.log.error({ device, error: messageOf(error) }, "the DHCP client does not end");
    });
    this.#ending.add(noted);
    void noted.finally(() => this.#ending.delete(noted));
  }

  #heard(device: string, running: Running, line: string): void {
    const { log } = this.#options;
    const event = parseEvent(line);
    if (event === null) {
      log.warn({ device, line }, "the DHCP client told something that cannot be used");
      return;
    }
    // A client begins by saying that nothing is configured: it does not know what the one before it got.
    const isBeginning = event.kind === "unconfigured" && !running.hasBegun;
    running.hasBegun = true;
    this.#setFault(running, "");
    if (event.kind === "lease") this.#got(device, event);
    else if (event.kind === "unanswered") log.debug({ device }, "no DHCP server answers");
    else if (!isBeginning && this.#leases.has(device)) {
      log.warn({ device, event: event.kind }, "the DHCP lease is lost");
      this.#forget(device);
      this.#options.onChange();
    }
  }

  #setFault(running: Running, fault: string): void {
    if (running.fault === fault) return;
    running.fault = fault;
    this.#options.onChange();
  }

  #got(device: string, { address, prefixLength, server, seconds }: Extract<DhcpEvent, { kind: "lease" }>): void {
    const now = this.#now();
    const before = this.leases.get(device);
    const lease: Lease = {
      ...{ device, address, prefixLength, server },
      obtainedAt: new Date(now).toISOString(),
      expiresAt: new Date(now + seconds * 1000).toISOString(),
    };
    this.#leases.set(device, lease);
    this.#options.files.save(lease);
    this.#wait();
    if (before?.address === address && before.prefixLength === prefixLength) return;
    this.#options.log.info({ ...lease }, "the host has a DHCP lease");
    this.#options.onChange();
  }

  #forget(device: string): void {
    this.#leases.delete(device);
    this.#options.files.remove(device);
  }

  /** What has expired goes, also where no client is left to say so. */
  #drop(): void {
    const over = this.#expired();
    for (const device of over) this.#forget(device);
    this.#wait();
    if (over.length === 0) return;
    this.#options.log.warn({ devices: over }, "DHCP leases have expired");
    this.#options.onChange();
  }

  #expired(): readonly string[] {
    const inForce = this.leases;
    return [...this.#leases.keys()].filter((device) => !inForce.has(device));
  }

  #wait(): void {
    if (this.#expiry) clearTimeout(this.#expiry);
    this.#expiry = null;
    const ends = [...this.#leases.values()].map(({ expiresAt }) => Date.parse(expiresAt));
    if (ends.length === 0 || this.#closed) return;
    const wait = Math.min(LONGEST_WAIT, Math.max(0, Math.min(...ends) - this.#now()) + 1);
    this.#expiry = setTimeout(() => this.#drop(), wait);
  }
}
