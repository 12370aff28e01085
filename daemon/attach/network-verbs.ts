/** GC and STATUS (CNI SPEC 1.1.0): the verbs that speak of a network, not of one container. */
import { PortwrightError } from "../errors.ts";
import type { Attachment } from "../model/attachment.ts";
import type { JsonObject } from "../safe-json.ts";
import { messageOf } from "../thrown.ts";
import type { CniRequest } from "./cni-request.ts";
import { type Collected, type Garbage, type ValidAttachment, validIds } from "./collector.ts";
import { Fields } from "./decode.ts";
import type { AttachLog } from "./attach-log.ts";
import { askAddresses } from "./ipam-verbs.ts";
import type { Addresses, IpamCall } from "./ipam.ts";
import { networkOf, parseNetConf } from "./netconf.ts";
import { requireVersion } from "./version.ts";
import type { Intent } from "../model/resources.ts";

/** What keeps a network from working, each a sentence. */
export interface NetworkHealth {
  /** why nothing can be attached */
  readonly cannotAttach: readonly string[];
  /** why what is attached cannot be reached from elsewhere */
  readonly suffers: readonly string[];
}

export interface NetworkVerbsHost {
  readonly ipam: Addresses;
  readonly log: AttachLog;
  intent(): Pick<Intent, "networks">;
  collect(garbage: Garbage): Promise<Collected>;
  health(clusterNetwork: string): Promise<NetworkHealth>;
}

const HEALTHY: NetworkHealth = { cannotAttach: [], suffers: [] };

type Call = (type: string, request: CniRequest) => IpamCall;

export async function gc(host: NetworkVerbsHost, raw: JsonObject, request: CniRequest, call: Call): Promise<string> {
  const { name, ipamType } = networkOf(raw);
  const valid = parseValid(raw);
  const concerns = ({ origin }: Attachment) => origin.kind === "cni" && origin.networkName === name;
  const { failed } = await host.collect({ concerns, valid: valid && validIds(valid) });
  const failures = failed.map(({ id, message }) => `${id}: ${message}`);
  if (ipamType !== "") {
    try {
      const answer = await askAddresses(host.ipam, "gc", call(ipamType, request), requireVersion(raw.cniVersion));
      // It has no garbage that it knows of. What we collected it was told by DEL.
      if (answer !== "done") host.log.info({ ipam: ipamType, network: name }, "the IPAM plugin cannot collect garbage");
    } catch (error) {
      // The plugin's own code and words, if they are all there is to tell.
      if (failures.length === 0) throw error;
      failures.push(`IPAM plugin ${ipamType}: ${messageOf(error)}`);
    }
  }
  if (failures.length > 0) throw new PortwrightError("GC_INCOMPLETE", failures.join("; "));
  return "";
}

export async function status(
  host: NetworkVerbsHost,
  raw: JsonObject,
  request: CniRequest,
  call: Call,
): Promise<string> {
  const { port, ipamType } = parseNetConf(raw, request.env.CNI_ARGS ?? "", host.intent());
  // A bridge that is not managed is made when it is needed.
  const { cannotAttach, suffers } = port.localBridge === null ? await host.health(port.clusterNetwork) : HEALTHY;
  if (suffers.length > 0) throw new PortwrightError("NETWORK_SUFFERS", [...suffers, ...cannotAttach].join("; "));
  if (cannotAttach.length > 0) throw new PortwrightError("CNI_NOT_READY", cannotAttach.join("; "));
  if (ipamType === "") return "";
  const version = requireVersion(raw.cniVersion);
  // One that does not know the verb may work all the same; but not with a configuration of a version that it refuses.
  if ((await askAddresses(host.ipam, "status", call(ipamType, request), version)) === "unknown version")
    throw new PortwrightError("CNI_NOT_READY", `IPAM plugin ${ipamType} does not support cniVersion ${version}`);
  return "";
}

/**
 * The list that the runtime's library adds (libcni, "cni.dev/valid-attachments"; first versions wrote
 * "cni.dev/attachments"). null: there is none, which is not the same as an empty one.
 */
function parseValid(raw: JsonObject): readonly ValidAttachment[] | null {
  const conf = new Fields(raw, "", "CNI_CONFIG");
  const lists = ["cni.dev/valid-attachments", "cni.dev/attachments"].flatMap((key) => {
    const list = conf.objects(key);
    return list === undefined ? [] : [list.map(parseEntry)];
  });
  return lists.length === 0 ? null : lists.flat();
}

/** An entry that cannot be read spares nothing, so the whole list is refused. */
function parseEntry(entry: Fields): ValidAttachment {
  const containerId = entry.string("containerID") ?? "";
  const name = entry.string("ifname") ?? "";
  if (containerId === "") throw entry.refuse("containerID", "is missing");
  if (name === "") throw entry.refuse("ifname", "is missing");
  return { containerId, interface: name };
}
