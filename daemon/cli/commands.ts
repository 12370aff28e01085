/** The commands by name. Each is loaded when it is called, so that none pays for another's start. */
export interface Command {
  readonly summary: string;
  readonly help: string;
  run(args: readonly string[]): Promise<number>;
}

const READ_SOCKET = "/run/portwright/read.sock";
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
