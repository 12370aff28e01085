/**
 * Makes, unmakes and checks one attachment, whoever asked: port, addresses, record. Each step that can be undone says
 * how before the next begins; what fails undoes all in reverse and never hides the first error. The caller holds the
 * container's lock.
 */
import { allEnded } from "../async/all-ended.ts";
import type { Kernel, Namespace, NetnsHandle } from "../kernel/kernel.ts";
import { type Attachment, reachesWorkload } from "../model/attachment.ts";
import { hostInterfaceOf } from "../reconcile/workload-names.ts";
import type { Addressing } from "./addressing.ts";
import type { AttachLog } from "./attach-log.ts";
import {
  announceContainer,
  attachmentIps,
  attachmentRoutes,
  type ContainerPort,
  checkContainer,
  configureContainer,
} from "./container.ts";
import { type Addressed, type Routing, withGateways } from "./gateways.ts";
import type { HostInterface, MadePort, PortMaker, PortOptions } from "./port-maker.ts";
import type { Masquerade } from "./masquerade.ts";
import type { AttachmentRecord, CniCall, Records } from "./records.ts";
import { refusable } from "./refused-addressing.ts";
import type { CniResult } from "./result.ts";
import { WorkloadSide } from "./workload-side.ts";

export interface AttachSpec {
  readonly containerId: string;
  readonly interface: string;
  /** empty, and null: there is no other namespace than the host's */
  readonly netnsPath: string;
  readonly netns: NetnsHandle | null;
  readonly port: PortOptions;
  readonly origin: Attachment["origin"];
  readonly cni: CniCall | null;
  /** IPv6 addresses are checked for duplicates before the attachment is made */
  readonly dad: boolean;
  /** null: layer 2 only */
  readonly addressing: Addressing | null;
  readonly routing: Routing;
}

export interface Made {
  readonly attachment: Attachment;
  readonly port: MadePort;
  readonly addressing: Addressed;
  /** the host's interface that has the gateways */
  readonly gateway: HostInterface | null;
}

export interface AttachmentsOptions {
  readonly portMaker: PortMaker;
  readonly records: Records;
  readonly masquerade: Pick<Masquerade, "add" | "remove" | "verify">;
  readonly kernel: Pick<Kernel, "enter">;
  readonly epoch: string;
  readonly log: AttachLog;
  readonly now: () => Date;
}

/** What has been done so far, each with the way back. */
type Undo = (() => Promise<void>)[];

const NO_ADDRESSING = { ips: [], routes: [], dns: {} } as const;

export class Attachments {
  readonly #options: AttachmentsOptions;

  constructor(options: AttachmentsOptions) {
    this.#options = options;
  }

  async make(spec: AttachSpec): Promise<Made> {
    const { portMaker, records, kernel, log } = this.#options;
    const draft = this.#draft(spec);
    const { id } = draft.attachment;
    let reached = draft;
    const source = spec.addressing && refusable(spec.addressing, log);
    const undo: Undo = [];
    const netns = reachesWorkload(spec.port) ? spec.netns : null;
    const workload = netns && new WorkloadSide(kernel, netns);
    // An IPAM plugin takes longer to start than the port to be made, so it goes first. An address outlives this process:
    // the record goes before.
    const isEarly = source !== null && !source.needsPort;
    if (isEarly) records.putPending(draft);
    const early = isEarly ? obtain(source, undo) : null;
    const making = portMaker.make({ id, ...spec, ...spec.port, workload });
    undo.push(() => unmakeWhenMade(portMaker, draft, making));
    let announced = Promise.resolve(); // on its way when the answer goes: nobody waits for it
    try {
      // While the kernel makes the link. One that has no record yet when the daemon dies has our group or alias, and no
      // workload: the next round removes it.
      if (!isEarly) records.putPending(draft);
      if (source !== null) void workload?.enter();
      const port = await making;
      reached = withPort(draft, port);

      let addressing: Made["addressing"] = NO_ADDRESSING;
      let gateway: Made["gateway"] = null;
      if (source !== null) {
        undo.push(() => this.#options.masquerade.remove(id));
        const { result, confirmed } = await (early ?? obtain(source, undo));
        const given = withGateways(result, spec.routing);
        ({ addressing } = given);
        reached = withAddressing(reached, addressing, given.gateways);
        const container = await workload?.enter();
        if (container === undefined) throw new TypeError(`${id} has no interface that addresses could be set on`);
        const side = { ifindex: port.containerIfindex, name: spec.interface, mac: port.mac, kind: "veth" } as const;
        [, gateway] = await allEnded([
          configureContainer(container, side, addressing, spec.dad),
          this.#route(reached.attachment, spec.routing),
          this.#masquerade(reached.attachment),
          confirmed,
        ]);
        if (!spec.port.gated) announced = this.#announce(container, side, addressing);
      }
      records.putReady(reached);
      const attachment = records.get(id)?.attachment ?? reached.attachment;
      portMaker.made(attachment);
      return { attachment, port, addressing, gateway };
    } catch (error) {
      await this.#rollBack(reached, undo);
      throw error;
    } finally {
      void announced.then(() => workload?.leave());
    }
  }

  /**
   * Resolves when the interface is gone. If its addresses cannot be given back the record stays, pending, for another
   * attempt; `released` is false then.
   */
  async unmake(
    record: AttachmentRecord,
    addressing: Pick<Addressing, "needsPort" | "release"> | null,
  ): Promise<{ readonly released: boolean }> {
    const { portMaker, records, masquerade, epoch } = this.#options;
    const { attachment } = record;
    records.markPending(record);
    const isEarly = addressing?.needsPort ?? false;
    const early = isEarly && (await this.#release(attachment.id, addressing));
    // Of an earlier epoch nothing is left in the kernel, and its index may be a stranger's by now.
    if (record.epoch === epoch) await portMaker.unmake(attachment);
    await masquerade.remove(attachment.id);
    const released = isEarly ? early : await this.#release(attachment.id, addressing);
    if (released) records.remove(attachment.id);
    return { released };
  }

  /** False: IPAM refused. The interface goes whatever it says. */
  async #release(id: string, addressing: Pick<Addressing, "release"> | null): Promise<boolean> {
    try {
      await addressing?.release();
      return true;
    } catch (error) {
      this.#options.log.warn({ attachment: id, error }, "IPAM keeps the interface's addresses; will try again");
      return false;
    }
  }

  /** Differences between the attachment, the kernel and `prevResult`, each a sentence. */
  async verify(record: AttachmentRecord, netns: NetnsHandle, prevResult: CniResult): Promise<readonly string[]> {
    const { portMaker, kernel } = this.#options;
    const { attachment, containerIfindex } = record;
    if (!reachesWorkload(attachment)) return await portMaker.verify(attachment);
    const { interface: name, mac, containerDown: mayBeDown, device } = attachment;
    const kind = device.kind === "inner-tap" ? "tun" : "veth";
    const side = { ifindex: containerIfindex, name, mac, mayBeDown, kind } as const;
    const workload = new WorkloadSide(kernel, netns);
    try {
      const entering = workload.enter();
      const differences = await allEnded([
        portMaker.verify(attachment),
        attachment.masquerade ? this.#options.masquerade.verify(attachment) : Promise.resolve([]),
        entering.then((inside) => checkContainer(inside, side, attachment.routes, prevResult, attachment.netnsPath)),
      ]);
      return differences.flat();
    } finally {
      workload.leave();
    }
  }

  #draft(spec: AttachSpec): AttachmentRecord {
    const { epoch, now } = this.#options;
    const id = attachmentId(spec.containerId, spec.interface);
    return {
      attachment: {
        id,
        containerId: spec.containerId,
        interface: spec.interface,
        netnsPath: spec.netnsPath,
        netns: { device: `${spec.netns?.device ?? ""}`, inode: `${spec.netns?.inode ?? ""}` },
        ...spec.port,
        mtuAsked: spec.port.mtu,
        // Known before it exists: whoever undoes after a crash finds the port by it.
        hostInterface: hostInterfaceOf(id, spec.port.device),
        hostIfindex: 0,
        ips: [],
        routes: [],
        state: "pending",
        origin: spec.origin,
        createdAt: now().toISOString(),
      },
      containerIfindex: 0,
      epoch,
      cni: spec.cni,
    };
  }

  async #rollBack(record: AttachmentRecord, undo: Undo): Promise<void> {
    const { records, log } = this.#options;
    const { id } = record.attachment;
    let clean = true;
    for (const step of undo.toReversed()) {
      try {
        await step();
      } catch (error) {
        clean = false;
        log.error({ attachment: id, error }, "undoing a failed attachment failed, too; will try again");
      }
    }
    if (!clean) return records.markPending(record);
    try {
      records.remove(id);
    } catch (error) {
      log.error({ attachment: id, error }, "the record of a failed attachment cannot be removed; will try again");
    }
  }

  async #route(attachment: Attachment, { forceAddress }: Routing): Promise<HostInterface | null> {
    return attachment.gateways.length === 0 ? null : await this.#options.portMaker.route(attachment, forceAddress);
  }

  async #masquerade(attachment: Attachment): Promise<void> {
    if (attachment.masquerade) await this.#options.masquerade.add(attachment);
  }

  /** Nobody fails for want of an announcement: neighbours find out by themselves, later. */
  async #announce(container: Namespace, side: ContainerPort, addressing: Made["addressing"]): Promise<void> {
    try {
      await announceContainer(container, side, attachmentIps(addressing));
    } catch (error) {
      this.#options.log.warn({ interface: side.name, error }, "the addresses cannot be announced");
    }
  }
}

/** Who has asked gives back, also what comes when nobody wants it any more. */
function obtain(source: Addressing, undo: Undo): ReturnType<Addressing["obtain"]> {
  const obtained = source.obtain();
  const settled = obtained.then(({ confirmed }) => confirmed).catch(() => undefined);
  undo.push(() => settled.then(() => source.release()));
  return obtained;
}

function withPort(record: AttachmentRecord, port: MadePort): AttachmentRecord {
  const { hostInterface, hostIfindex, mac, mtu } = port;
  return {
    ...record,
    containerIfindex: port.containerIfindex,
    attachment: { ...record.attachment, hostInterface, hostIfindex, mac, mtu },
  };
}

function withAddressing(
  record: AttachmentRecord,
  addressing: Addressed,
  gateways: Attachment["gateways"],
): AttachmentRecord {
  const ips = attachmentIps(addressing);
  const routes = attachmentRoutes(addressing);
  return { ...record, attachment: { ...record.attachment, ips, routes, gateways } };
}

/** What could not be made has removed itself. */
async function unmakeWhenMade(portMaker: PortMaker, draft: AttachmentRecord, making: Promise<MadePort>): Promise<void> {
  const [made] = await Promise.allSettled([making]);
  if (made.status === "fulfilled") await portMaker.unmake(withPort(draft, made.value).attachment);
}

export function attachmentId(containerId: string, name: string): string {
  return `${containerId}/${name}`;
}
