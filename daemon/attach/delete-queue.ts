/** DELs that the plugin executable could not hand over while the daemon was away: one file each (native/shim/queue.c). */
import { closeSync, constants, fstatSync, openSync, readdirSync, readFileSync, renameSync, unlinkSync } from "node:fs";
import { join } from "node:path";
import type { CniRequest } from "./cni-request.ts";
import { Fields, parseJsonObject } from "./decode.ts";
import { openDirectory, stateError } from "../state/record-files.ts";

const MAX_SIZE = 8 << 20;

export class DeleteQueue {
  readonly #directory: string;

  constructor(directory: string) {
    this.#directory = directory;
    openDirectory(directory);
  }

  /** In the order they came: the names start with the time. */
  names(): readonly string[] {
    return readdirSync(this.#directory)
      .filter((name) => name.endsWith(".json") && !name.startsWith("."))
      .sort();
  }

  /** Throws if it is no request of the plugin's. */
  read(name: string): CniRequest {
    const fd = openSync(join(this.#directory, name), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
    try {
      const stat = fstatSync(fd);
      if (!stat.isFile() || stat.uid !== process.geteuid?.() || stat.size > MAX_SIZE)
        throw stateError(`${name} in the delete queue`, "not a file of ours");
      return parseRequest(readFileSync(fd, "utf8"));
    } finally {
      closeSync(fd);
    }
  }

  done(name: string): void {
    unlinkSync(join(this.#directory, name));
  }

  /** Out of the way, but kept for whoever looks into it. */
  setAside(name: string): void {
    renameSync(join(this.#directory, name), join(this.#directory, `${name}.corrupt`));
  }
}

function parseRequest(text: string): CniRequest {
  const request = parseJsonObject(text, "the queued request", "STATE_IO");
  const fields = new Fields(request, "", "STATE_IO");
  const env = fields.object("env");
  const stdin = fields.string("stdin");
  if (env === undefined || stdin === undefined) throw stateError("the queued request", "env or stdin is missing");
  const names = Object.keys(request.env as object);
  return { env: Object.fromEntries(names.map((name) => [name, env.string(name) ?? ""])), stdin };
}
