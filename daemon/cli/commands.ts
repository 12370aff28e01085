/** The commands by name. Each is loaded when it is called, so that none pays for another's start. */
export interface Command {
  readonly summary: string;
  readonly help: string;
  run(args: readonly string[]): Promise<number>;
}

const READ_SOCKET = "/run/portwright/read.sock";

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
  check: {
    summary: "reads intent files and reports every error with its place",
    help: `usage: portwright check [--node-name NAME] PATH...

Exit code 0 if the files hold together, 1 if not. Needs no daemon and no root.
`,
    run: async (args) => await (await import("./check-command.ts")).checkCommand(args),
  },
};
