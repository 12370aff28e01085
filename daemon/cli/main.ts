/** The program portwright: one file a command. */
import { PortwrightError } from "../errors.ts";
import { codeOf, messageOf } from "../thrown.ts";
import { VERSION } from "../version.ts";
import { commands } from "./commands.ts";
import { UsageError } from "./usage-error.ts";

const EX_USAGE = 64;

function help(): string {
  const rows = Object.entries(commands).map(([name, { summary }]) => `  ${name.padEnd(10)}${summary}`);
  return [
    "portwright: the layer-2 networks of this host",
    "",
    "usage: portwright COMMAND [options]",
    "",
    ...rows,
    "",
    "portwright COMMAND --help tells a command's options.",
    "",
  ].join("\n");
}

async function main(argv: readonly string[]): Promise<number> {
  const [name, ...rest] = argv;
  if (name === undefined || name === "--help" || name === "-h" || name === "help") {
    process.stdout.write(help());
    return 0;
  }
  if (name === "--version") {
    process.stdout.write(`portwright ${VERSION}\n`);
    return 0;
  }
  const command = commands[name];
  if (!command) {
    process.stderr.write(`portwright: there is no command "${name}"\n\n${help()}`);
    return EX_USAGE;
  }
  if (rest.includes("--help") || rest.includes("-h")) {
    process.stdout.write(command.help);
    return 0;
  }
  return await command.run(rest);
}

function isUsage(error: unknown): boolean {
  return error instanceof UsageError || codeOf(error)?.startsWith("ERR_PARSE_ARGS") === true;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  const text = error instanceof PortwrightError ? error.toString() : messageOf(error);
  process.stderr.write(`portwright: ${text}\n`);
  process.exitCode = isUsage(error) ? EX_USAGE : 1;
}
