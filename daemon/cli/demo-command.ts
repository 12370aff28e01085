/** `portwright demo` */
import { parseArgs } from "node:util";
import { runDemo } from "../demo/run.ts";

export async function demoCommand(args: readonly string[]): Promise<number> {
  const { values } = parseArgs({ args: [...args], options: { once: { type: "boolean", default: false } } });
  if (process.getuid?.() !== 0) {
    process.stderr.write("portwright: the demo makes network namespaces and loads BPF programs: run it as root\n");
    return 1;
  }
  return await runDemo(values);
}
