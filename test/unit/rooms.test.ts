// Who may import whom: the table in ARCHITECTURE.md against every import line of daemon/.
import { readdirSync, readFileSync } from "node:fs";
import path from "node:path";
import test from "ava";

const root = path.join(import.meta.dirname, "../..");
const read = (file: string) => readFileSync(path.join(root, file), "utf8");
const architecture = read("ARCHITECTURE.md");

interface Import {
  readonly file: string;
  /** as written: "./x.ts", "node:fs", "yaml" */
  readonly from: string;
  readonly typesOnly: boolean;
}

/** `import … from`, `export … from`, `import "…"`, `import("…")`. */
const IMPORT =
  /^(?:import|export)\s+(?<type>type\s+)?(?<names>[\w*${},\s]+?)\s+from\s+"(?<from>[^"]+)"|^import\s+"(?<bare>[^"]+)"|\bimport\("(?<dynamic>[^"]+)"\)/gm;

function importsOf(file: string, text: string): Import[] {
  return [...text.matchAll(IMPORT)].map(({ groups = {} }) => {
    const { type, names = "", from, bare, dynamic } = groups;
    const list = /^\{([\s\S]*)\}$/.exec(names.trim())?.[1];
    const allTypes = list?.split(",").every((name) => name.trim() === "" || name.trim().startsWith("type ")) ?? false;
    return { file, from: from ?? bare ?? dynamic ?? "", typesOnly: type !== undefined || allTypes };
  });
}

const files = readdirSync(path.join(root, "daemon"), { recursive: true, encoding: "utf8" })
  .filter((file) => file.endsWith(".ts") && !file.includes("generated/"))
  .map((file) => `daemon/${file}`);
const imports = files.flatMap((file) => importsOf(file, read(file)));

/** "daemon/model/port.ts" -> "model", "daemon/errors.ts" -> "errors" */
function roomOf(file: string): string {
  if (file === "daemon/kernel/kernel-error.ts") return "kernel-error";
  return file.split("/")[1]?.replace(/\.ts$/, "") ?? "";
}

/** The room, or the package without what is below it ("node:fs/promises" is node:fs). */
function targetOf({ file, from }: Import): string {
  if (from.startsWith(".")) return roomOf(path.posix.join(path.posix.dirname(file), from));
  return from.startsWith("@") ? from : (from.split("/")[0] ?? from);
}

interface Rule {
  readonly uses: ReadonlySet<string>;
  readonly typesOf: ReadonlySet<string>;
  readonly packages: ReadonlySet<string>;
}

const rooms = /\n## Rooms\n([\s\S]*?)\n## /.exec(architecture)?.[1] ?? "";
const quoted = (text: string) => new Set([...text.matchAll(/`([^`]+)`/g)].map((match) => match[1] ?? ""));
const commons = quoted(/^Commons: (.*)$/m.exec(rooms)?.[1] ?? "");

function rules(): Map<string, Rule> {
  const rows = rooms.matchAll(/^\| `(\w+)` \|[^|\n]*\|([^|\n]*)\|([^|\n]*)\|([^|\n]*)\|$/gm);
  return new Map(
    [...rows].map(([, room = "", uses = "", types = "", packages = ""]) => [
      room,
      { uses: quoted(uses), typesOf: quoted(types), packages: quoted(packages) },
    ]),
  );
}
const table = rules();
const isOutside = (one: Import) => !one.from.startsWith(".");

test("every directory of daemon/ is a room of the table", (t) => {
  const directories = new Set(
    files.filter((file) => file.split("/").length > 2).map((file) => file.split("/")[1] ?? ""),
  );
  t.deepEqual(
    [...directories].filter((room) => !table.has(room) && !commons.has(room)),
    [],
  );
  t.true(imports.length > 300, `only ${imports.length} imports were found`);
});

test("a room imports the rooms and packages that the table allows, and types where it says so", (t) => {
  const faults = imports.flatMap((one) => {
    const room = roomOf(one.file) === "kernel-error" ? "kernel" : roomOf(one.file);
    const rule = table.get(room);
    const target = targetOf(one);
    if (rule === undefined || target === room || (room === "kernel" && target === "kernel-error")) return [];
    if (isOutside(one) ? rule.packages.has(target) : rule.uses.has(target) || commons.has(target)) return [];
    if (!isOutside(one) && one.typesOnly && rule.typesOf.has(target)) return [];
    return [`${one.file} imports ${one.typesOnly ? "types of " : ""}${one.from}`];
  });
  t.deepEqual(faults, []);
});

test("the commons know each other, and types of the model", (t) => {
  const faults = imports.filter((one) => {
    const target = targetOf(one);
    const isFine = commons.has(target) || (one.typesOnly && target === "model");
    return commons.has(roomOf(one.file)) && !isFine;
  });
  t.deepEqual(faults, []);
});

test("the table allows nothing that no import needs", (t) => {
  const used = new Map<string, Set<string>>();
  for (const one of imports) {
    const room = roomOf(one.file);
    used.set(room, (used.get(room) ?? new Set()).add(targetOf(one)));
  }
  const idle = [...table].flatMap(([room, { uses, typesOf, packages }]) =>
    [...uses, ...typesOf, ...packages].filter((name) => !used.get(room)?.has(name)).map((name) => `${room}: ${name}`),
  );
  t.deepEqual(idle, []);
});

test("model and links read no file, no clock, no environment", (t) => {
  const impure = /\b(process|Date|performance|setTimeout|setInterval|fetch|require)\b\s*[.(]|Math\.random/;
  const guilty = files.filter(
    (file) => /^daemon\/(model|links)\//.test(file) && impure.test(withoutComments(read(file))),
  );
  t.deepEqual(guilty, []);
});

test("the addon has one door: only the programs open it, and its parts are known inside only", (t) => {
  const door = imports.filter(
    (one) => !one.typesOnly && one.from.endsWith("/native.ts") && roomOf(one.file) !== "kernel",
  );
  t.deepEqual(door.map((one) => one.file).toSorted(), ["daemon/demo/run.ts", "daemon/main.ts"]);
  const inner = imports.filter((one) => /\/native-[a-z]+\.ts$/.test(one.from) && roomOf(one.file) !== "kernel");
  t.deepEqual(inner, []);
});

test("the API knows the daemon as Backend only", (t) => {
  const above = /\/(daemon|main|host-watch|settings)\.ts$|\/(reconcile|intent|probe|links|demo|cli)\//;
  t.deepEqual(
    imports.filter((one) => roomOf(one.file) === "api" && above.test(one.from)),
    [],
  );
});

test("ffi-napi is named by one file", (t) => {
  const users = files.filter((file) => /["']ffi-napi["']/.test(read(file)));
  t.deepEqual(users, ["daemon/notify-ffi.ts"]);
});

test("every dependency of package.json has its line in the table of dependencies", (t) => {
  const { dependencies, devDependencies } = JSON.parse(read("package.json"));
  const said = quoted(/\n## Dependencies\n([\s\S]*?)\n## /.exec(architecture)?.[1] ?? "");
  t.deepEqual([...said].toSorted(), Object.keys({ ...dependencies, ...devDependencies }).toSorted());
});

function withoutComments(text: string): string {
  return text.replace(/\/\*[\s\S]*?\*\//g, "").replace(/\/\/.*$/gm, "");
}
