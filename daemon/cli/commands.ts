/** The commands by name. Each is loaded when it is called, so that none pays for another's start. */
export interface Command {
  readonly summary: string;
  readonly help: string;
  run(args: readonly string[]): Promise<number>;
}

const READ_SOCKET = "/run/portwright/read.sock";
const ATTACH_SOCKET = "/run/portwright/cni.sock";
const ADMIN_SOCKET = "/run/portwright/admin.sock";

export const commands: Readonly<Record<string, Command>> = {
  demo: {
    summary: "shows the product at work, in network namespaces of its own",
    help: `usage: portwright demo [--once]

Builds a host, a physical switch, gateways and workloads out of network namespaces, lets the daemon and the CNI plugin
connect them, and shows who reaches whom. Stays until Ctrl-C; then everything is removed. Needs root.

  --once    end after the first look; exit code 0 only if every expectation held
`,
    run: async (args) => await (await import("./demo-command.ts")).demoCommand(args),
  },
  status: {
    summary: "shows the daemon, its networks, ports and probes",
    help: `usage: portwright status [--socket PATH] [--json]

  --socket PATH   the daemon's reading socket   (${READ_SOCKET})
  --json          the daemon's own answer, for programs
`,
    run: async (args) => await (await import("./status-command.ts")).statusCommand(args, READ_SOCKET),
  },
  ports: {
    summary: "lists the ports of the switch and who has them",
    help: `usage: portwright ports [--socket PATH] [--json]

  --socket PATH   the daemon's reading socket   (${READ_SOCKET})
  --json          the daemon's own answers, for programs
`,
    run: async (args) => await (await import("./ports-command.ts")).portsCommand(args, READ_SOCKET),
  },
  attach: {
    summary: "gives a workload an interface in a network",
    help: `usage: portwright attach --network NAME --netns PATH [options]        an interface in a namespace
       portwright attach --network NAME --tap [--name NAME] [options]  a tap on this host, for a VM
       portwright attach --network NAME --device NAME [options]        a link of this host that is there

  --network NAME     a network of the intent: portwright status
  --netns PATH       network namespace of the workload; NAME alone: /run/netns/NAME
  --tap              a tap; with --netns it is in there, with a veth behind it
  --device NAME      a link that somebody else made; detaching gives it back as it was
  --name NAME        of the interface in the namespace (eth0), or of the tap on this host (derived)
  --container ID     what the workload is called   (the namespace's, the tap's or the device's name)
  --mac MAC          of the workload               (derived: always the same)
  --address CIDR     static, in the namespace; may be given several times
  --queues N         of the tap: more than 1 is multi-queue
  --owner USER       who may open the tap besides root: name or number
  --group GROUP      the same; with --owner, both are asked for
  --gated            no frame passes until "portwright open": for the target of a live migration
  --socket PATH      the daemon's attach socket    (${ATTACH_SOCKET})
  --json             the daemon's own answer, for programs

Returns when frames flow. Exit code 0 if attached, 1 if not, 64 if the options do not fit together. Needs root.
`,
    run: async (args) => await (await import("./attach-command.ts")).attachCommand(args, ATTACH_SOCKET),
  },
  open: {
    summary: "opens a gated port and tells the network where the workload is now",
    help: `usage: portwright open [--socket PATH] ID...

  --socket PATH   the daemon's attach socket   (${ATTACH_SOCKET})

Returns when frames pass. Exit code 0, also if it was open; 1 at the first that cannot be opened. Needs root.
`,
    run: async (args) => await (await import("./open-command.ts")).openCommand(args, ATTACH_SOCKET),
  },
  detach: {
    summary: "takes the interface away again",
    help: `usage: portwright detach [--socket PATH] ID...

ID is CONTAINER/INTERFACE as "portwright ports" lists it, also of what a CNI runtime attached. Returns when it is gone.

  --socket PATH   the daemon's attach socket   (${ATTACH_SOCKET})

Exit code 0 if all are detached, 1 at the first that is not. Needs root.
`,
    run: async (args) => await (await import("./detach-command.ts")).detachCommand(args, ATTACH_SOCKET),
  },
  gc: {
    summary: "removes what workloads that are gone have left",
    help: `usage: portwright gc [--socket PATH] [--json]

Removes attachments whose network namespace and port are both verifiably gone. What lives is not touched.

  --socket PATH   the daemon's attach socket   (${ATTACH_SOCKET})
  --json          the daemon's own answer, for programs

Exit code 0 if nothing is left, 1 if something could not be removed yet. Needs root.
`,
    run: async (args) => await (await import("./gc-command.ts")).gcCommand(args, ATTACH_SOCKET),
  },
  plan: {
    summary: "shows what apply would do, and who would notice",
    help: `usage: portwright plan [--socket PATH] [--json] [FILE...]

Compares the files, or without any the daemon's own, with the host as the daemon sees it now. Changes nothing.

  --socket PATH   the daemon's admin socket   (${ADMIN_SOCKET})
  --json          the daemon's own answer, for programs

Exit code 0 if there is nothing to do, 2 if there is, 1 if the files or the daemon are at fault.
`,
    run: async (args) => await (await import("./plan-command.ts")).planCommand(args, ADMIN_SOCKET),
  },
  apply: {
    summary: "changes the intent, verifies it, and goes back if it fails",
    help: `usage: portwright apply [--confirm TIME] [--verify TIME] [--socket PATH] [--json] [FILE...]

Applies the files, or without any the daemon's own. The change is kept if the host is as wanted afterwards and every
gateway that answered before answers again; else the last good intent is in force again. Reload does the same.

  --confirm TIME   go back as well unless "portwright confirm" is called within this time: 60s, 5m   (not asked for)
  --verify TIME    how long gateways have to answer again                                            (15s)
  --socket PATH    the daemon's admin socket   (${ADMIN_SOCKET})
  --json           the daemon's own answer, for programs

Exit code 0 if the change is in force, 1 if not.
`,
    run: async (args) => await (await import("./apply-command.ts")).applyCommand(args, ADMIN_SOCKET),
  },
  confirm: {
    summary: "keeps the change that waits for it",
    help: `usage: portwright confirm [--socket PATH] [--json]

  --socket PATH   the daemon's admin socket   (${ADMIN_SOCKET})
`,
    run: async (args) => await (await import("./decide-command.ts")).decideCommand("confirm", args, ADMIN_SOCKET),
  },
  rollback: {
    summary: "undoes the change that is under way",
    help: `usage: portwright rollback [--socket PATH] [--json]

  --socket PATH   the daemon's admin socket   (${ADMIN_SOCKET})
`,
    run: async (args) => await (await import("./decide-command.ts")).decideCommand("rollback", args, ADMIN_SOCKET),
  },
  check: {
    summary: "reads intent files and reports every error with its place",
    help: `usage: portwright check [--node-name NAME] PATH...

Exit code 0 if the files hold together, 1 if not. Needs no daemon and no root.
`,
    run: async (args) => await (await import("./check-command.ts")).checkCommand(args),
  },
};
