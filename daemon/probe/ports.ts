/** The probe ports in use: one for each inner end, with the addresses of the networks that are probed through it. */
import type { Clock } from "./clock.ts";
import { type OpenPacketSocket, ProbePort } from "./port.ts";
import { type ProbeTarget, targetFault } from "./target.ts";

export class ProbePorts {
  readonly #openSocket: OpenPacketSocket;
  readonly #clock: Clock;
  readonly #ports = new Map<string, ProbePort>();
  readonly #closing = new Set<Promise<void>>();

  constructor(openSocket: OpenPacketSocket, clock: Clock) {
    this.#openSocket = openSocket;
    this.#clock = clock;
  }

  /** Ports for these targets and no others; one that is there already stays, with its socket. */
  settle(targets: readonly ProbeTarget[]): void {
    const addresses = new Map<string, Map<number, Set<string>>>();
    for (const target of targets) {
      if (targetFault(target) !== null) continue;
      const { vlan, probeAddress, innerIfindex: ifindex, mac } = target;
      const key = portKey(target);
      const vlans = addresses.get(key) ?? new Map<number, Set<string>>();
      addresses.set(key, vlans);
      if (probeAddress !== undefined) vlans.set(vlan, (vlans.get(vlan) ?? new Set()).add(probeAddress));
      if (!this.#ports.has(key)) {
        this.#ports.set(key, new ProbePort({ ifindex, mac, openSocket: this.#openSocket, clock: this.#clock }));
      }
    }
    for (const [key, port] of this.#ports) {
      const own = addresses.get(key);
      if (own) port.setAddresses(own);
      else this.#close(key, port);
    }
  }

  /** Null if the target cannot be probed. */
  of(target: ProbeTarget): ProbePort | null {
    return this.#ports.get(portKey(target)) ?? null;
  }

  /** Resolves when no socket is open any more. */
  async close(): Promise<void> {
    for (const [key, port] of this.#ports) this.#close(key, port);
    await Promise.all(this.#closing);
  }

  #close(key: string, port: ProbePort): void {
    this.#ports.delete(key);
    const closing = port.close().finally(() => this.#closing.delete(closing));
    this.#closing.add(closing);
  }
}

/** Two targets with one key are probed through one socket. */
export function portKey({ innerIfindex, mac }: ProbeTarget): string {
  return `${innerIfindex}/${mac}`;
}
