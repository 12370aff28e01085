/**
 * Every error that a user can meet: one table of codes, each with its HTTP status, its CNI code (CNI SPEC 1.1.0, "Error";
 * 100 and up are ours) and what to do. The message of an instance says what was wrong and where.
 */
import type { Place } from "./model/resources.ts";

export interface ErrorKind {
  readonly status: number;
  readonly cni: number;
  readonly help: string;
}

export const errorTable = {
  // intent files
  INTENT_SYNTAX: { status: 400, cni: 7, help: "Correct the YAML at the place named." },
  INTENT_UNKNOWN_KIND: { status: 400, cni: 7, help: "Use one of the kinds in config/schemas." },
  INTENT_UNKNOWN_FIELD: { status: 400, cni: 7, help: "Remove the field or correct its name." },
  INTENT_INVALID: { status: 400, cni: 7, help: "Correct the value at the place named." },
  INTENT_DUPLICATE: { status: 400, cni: 7, help: "Keep one of the two." },
  INTENT_REFERENCE: { status: 400, cni: 7, help: "Define what is referred to, or correct the name." },
  INTENT_FILE: { status: 500, cni: 5, help: "Check that the file exists and can be read." },
  // the host
  NIC_ABSENT: {
    status: 409,
    cni: 103,
    help: "Check the NIC's name in the VlanConfig; it is taken as soon as it appears.",
  },
  NIC_HAS_MASTER: { status: 409, cni: 103, help: "Release the NIC from its bridge or bond first." },
  NIC_HAS_ADDRESS: {
    status: 409,
    cni: 103,
    help: "Move the address off the NIC first: frames for it would be switched, not received.",
  },
  NIC_SHARED: { status: 409, cni: 103, help: "Give each NIC to one cluster network only." },
  NIC_AMBIGUOUS: { status: 409, cni: 103, help: "Name the NIC by something that only one has." },
  MEMBER_KEPT: {
    status: 409,
    cni: 103,
    help: "Bring up the bond's other members: the NIC leaves as soon as one of them carries traffic.",
  },
  BOND_OPTION_UNSUPPORTED: { status: 409, cni: 103, help: "Remove the option, or use a kernel that has it." },
  BONDING_UNSUPPORTED: { status: 409, cni: 103, help: "Name a single NIC, or use a kernel with bonding." },
  PORT_UNSUPPORTED: {
    status: 409,
    cni: 103,
    help: "Ask for less, or have the cluster network switched by the eBPF datapath.",
  },
  BRIDGE_UNFILTERED: {
    status: 409,
    cni: 103,
    help: "Use a kernel whose bridge filters VLANs (CONFIG_BRIDGE_VLAN_FILTERING), or --datapath ebpf.",
  },
  NAME_TAKEN: { status: 409, cni: 103, help: "Rename or remove the foreign object; it was left untouched." },
  DEVICE_REFUSED: {
    status: 409,
    cni: 103,
    help: "Name a link without master, addresses and programs of others, which nothing else here uses.",
  },
  DEVICE_ABSENT: {
    status: 409,
    cni: 103,
    help: "Make the link; a workload that is attached gets it as soon as it is there.",
  },
  TOO_MANY_SWITCHES: { status: 409, cni: 103, help: "A host carries at most 16 cluster networks." },
  DHCP_NO_LEASE: {
    status: 409,
    cni: 103,
    help: "Check the DHCP server of that VLAN, and that the uplink's switch carries the VLAN.",
  },
  DHCP_CLIENT_FAILED: {
    status: 500,
    cni: 999,
    help: "Install busybox; under systemd, the drop-in dhcp.conf as well. The daemon's log has more.",
  },
  MTU_TOO_LARGE: { status: 409, cni: 103, help: "Lower the MTU to what the NIC can carry." },
  // attach requests
  REQUEST_INVALID: { status: 400, cni: 7, help: "Correct the field named; GET /openapi.json describes requests." },
  REQUEST_TOO_LARGE: { status: 413, cni: 7, help: "Send at most 256 KiB." },
  CNI_ENVIRONMENT: { status: 400, cni: 4, help: "Correct the CNI_* variable named." },
  CNI_DECODE: { status: 400, cni: 6, help: "Send a network configuration in JSON." },
  CNI_CONFIG: { status: 400, cni: 7, help: "Correct the network configuration." },
  CNI_VERSION: { status: 400, cni: 1, help: "Use a cniVersion that VERSION lists." },
  CNI_UNSUPPORTED_FIELD: { status: 400, cni: 2, help: "Remove the option." },
  NETNS_INVALID: { status: 400, cni: 4, help: "Name a network namespace, such as /run/netns/NAME." },
  NETNS_OWN: { status: 400, cni: 8, help: "Name the container's namespace; CNI_NETNS_OVERRIDE=1 allows the host's." },
  NETWORK_UNKNOWN: { status: 404, cni: 7, help: "Name a network that GET /v1/networks lists." },
  BRIDGE_UNKNOWN: { status: 404, cni: 100, help: "Name the bridge of a cluster network: <cluster network>-br." },
  GATEWAY_REFUSED: {
    status: 409,
    cni: 106,
    help: "Give the workload an address of the subnet that the interface is in, or set forceAddress if nobody needs the other one.",
  },
  MASQUERADE_UNSUPPORTED: {
    status: 409,
    cni: 103,
    help: "Leave out ipMasq, or use a kernel with nf_tables, nft_chain_nat and nft_masq.",
  },
  INTERFACE_EXISTS: { status: 409, cni: 101, help: "Use another interface name, or remove the interface." },
  ATTACHMENT_EXISTS: { status: 409, cni: 101, help: "Detach it first." },
  ATTACHMENT_UNKNOWN: { status: 404, cni: 3, help: "List attachments with GET /v1/attachments." },
  CHECK_FAILED: { status: 409, cni: 102, help: "Remove and add the container's interface again." },
  CNI_NOT_READY: {
    status: 503,
    cni: 50,
    help: "See portwright status: nothing can be attached to this network at present.",
  },
  NETWORK_SUFFERS: {
    status: 503,
    cni: 51,
    help: "See portwright status: the network's uplink does not work, and what is attached suffers, too.",
  },
  GC_INCOMPLETE: { status: 500, cni: 108, help: "The rest was collected; what failed is named. Collect again later." },
  ADDRESS_UNUSABLE: {
    status: 409,
    cni: 107,
    help: "Find the other station, or give another address; without enabledad nobody is asked.",
  },
  IPAM_FAILED: { status: 502, cni: 104, help: "See the IPAM plugin's message." },
  PORTS_EXHAUSTED: { status: 507, cni: 105, help: "The eBPF switch carries at most 4095 ports, a kernel bridge 1023." },
  COUNTERS_EXHAUSTED: {
    status: 507,
    cni: 105,
    help: "Allow fewer VLANs on trunk ports: 16384 pairs of port and VLAN are counted.",
  },
  FLOOD_LIST_FULL: { status: 507, cni: 105, help: "A VLAN of one switch has at most 1024 ports." },
  REQUEST_TIMEOUT: { status: 408, cni: 11, help: "Send the whole request within a few seconds." },
  MEDIA_TYPE_UNSUPPORTED: { status: 415, cni: 6, help: "Send application/json or application/x-protobuf." },
  NOT_ACCEPTABLE: { status: 406, cni: 6, help: "Accept application/json or application/x-protobuf." },
  BUSY: { status: 503, cni: 11, help: "Try again in a moment." },
  FORBIDDEN: { status: 403, cni: 999, help: "Call as root." },
  HOST_REFUSED: { status: 403, cni: 999, help: "Call by 127.0.0.1, [::1] or localhost." },
  NOT_FOUND: { status: 404, cni: 999, help: "GET /openapi.json lists what there is." },
  ADOPT_ABSENT: {
    status: 409,
    cni: 103,
    help: "Make the bridge, or leave out adopt: then the daemon makes one of its own.",
  },
  ADOPTED_HOST_NETWORK: {
    status: 409,
    cni: 103,
    help: "Set the address up where the bridge was set up, or use a cluster network that the daemon made.",
  },
  WORKLOAD_UNREACHABLE: {
    status: 500,
    cni: 999,
    help: "Set the MTU of the workload's interface by hand, or detach and attach it.",
  },
  // changes of intent
  TRANSACTION_PENDING: { status: 409, cni: 999, help: "See GET /v1/transaction: confirm it or roll it back first." },
  TRANSACTION_NONE: { status: 409, cni: 999, help: "See GET /v1/transaction; portwright apply begins a change." },
  CHANGE_REFUSED: { status: 409, cni: 999, help: "Nothing was touched: correct the intent and apply it again." },
  ROLLED_BACK: {
    status: 409,
    cni: 999,
    help: "The last good intent is in force: correct what was said, then portwright apply.",
  },
  // the daemon itself
  KERNEL: { status: 500, cni: 999, help: "See the kernel's text; the daemon's log has more." },
  BPF_UNAVAILABLE: {
    status: 500,
    cni: 999,
    help: "Use a kernel with BPF and give the daemon CAP_BPF; or let the kernel's bridge switch: --datapath bridge.",
  },
  KERNEL_TOO_OLD: { status: 500, cni: 999, help: "Use Linux 5.17 or newer with BPF." },
  STATE_IO: { status: 500, cni: 5, help: "Check the state directory and the space on its disk." },
  DAEMON_RUNNING: {
    status: 500,
    cni: 999,
    help: "Stop the other daemon, or give this one directories of its own.",
  },
  SOCKET_IN_USE: { status: 500, cni: 999, help: "Another daemon is running: stop it, or choose other paths." },
  PORT_IN_USE: { status: 500, cni: 999, help: "Stop what listens there, or set another --http address." },
  HTTP_NOT_LOOPBACK: { status: 500, cni: 999, help: "Set --http to 127.0.0.1, ::1 or localhost." },
  SOCKET_PATH_TOO_LONG: { status: 500, cni: 999, help: "Choose a shorter run directory." },
  BPFFS_ABSENT: { status: 500, cni: 999, help: "Mount one: mount -t bpf bpf /sys/fs/bpf; or set another --pin-dir." },
  DIRECTORY_UNSAFE: { status: 500, cni: 999, help: "Make the directory root's own, not writable by others." },
  INTERNAL: { status: 500, cni: 999, help: "Report this with the daemon's log." },
} as const satisfies Record<string, ErrorKind>;

export type ErrorCode = keyof typeof errorTable;

export class PortwrightError extends Error {
  override readonly name = "PortwrightError";
  readonly code: ErrorCode;
  readonly place: Place | undefined;

  /** `message`: what was wrong and where, one sentence without the help text. */
  constructor(code: ErrorCode, message: string, options: { place?: Place; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.place = options.place;
  }

  get status(): number {
    return errorTable[this.code].status;
  }
  get cniCode(): number {
    return errorTable[this.code].cni;
  }
  get help(): string {
    return errorTable[this.code].help;
  }
  /** `file:line:column: message. help` */
  override toString(): string {
    const where = this.place ? `${this.place.file}:${this.place.line}:${this.place.column}: ` : "";
    return `${where}${this.message}. ${this.help} [${this.code}]`;
  }
}
