// Whatever a runtime does in whatever order, with the daemon restarted or killed meanwhile and namespaces that vanish:
// what is in the kernel, what is on record and what a simple model expects are the same after every step.
import { randomInt } from "node:crypto";
import { readdir } from "node:fs/promises";
import { basename, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { runCni } from "../../daemon/demo/container-runtime.ts";
import { type LabHost, removeNetns } from "../../daemon/demo/lab.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { isWorkloadLink } from "../../daemon/model/target.ts";
import { OOB, TestHost } from "../support/test-host.ts";
import { until } from "../support/until.ts";
import { recordFiles } from "../support/record-files.ts";

const CONTAINERS = ["c0", "c1", "c2", "c3"];
const SUBNET = "10.88.0.0/24";

interface Attached {
  readonly withAddress: boolean;
  readonly result: object;
  /** its namespace is there still */
  isThere: boolean;
}

interface Model {
  readonly attached: Map<string, Attached>;
}

class Bed {
  readonly t: ExecutionContext;
  readonly h: TestHost;
  readonly #kernel = nativeKernel();
  /** the latest of each container */
  readonly #namespaces = new Map<string, LabHost>();
  #made = 0;

  constructor(t: ExecutionContext, h: TestHost) {
    this.t = t;
    this.h = h;
  }

  async namespaceOf(container: string): Promise<LabHost> {
    const there = this.#namespaces.get(container);
    if (there !== undefined) return there;
    const made = await this.h.lab.host(`${container}-${this.#made++}`);
    this.#namespaces.set(container, made);
    return made;
  }

  async removeNamespace(container: string): Promise<void> {
    const there = this.#namespaces.get(container);
    if (there === undefined) return;
    this.#namespaces.delete(container);
    await there.namespace.close();
    there.handle.close();
    await removeNetns(this.#kernel, there.path);
  }

  get leases(): string {
    return join(this.h.directory, "leases");
  }

  /** null: refused. `path`: instead of the container's own. */
  async call(
    command: "ADD" | "DEL" | "CHECK",
    container: string,
    withAddress: boolean,
    more: { readonly prevResult?: object; readonly netnsPath?: string } = {},
  ): Promise<object | null> {
    const ipam = { type: "host-local", ranges: [[{ subnet: SUBNET }]], dataDir: this.leases };
    const { prevResult, netnsPath } = more;
    const vlan = 100 + CONTAINERS.indexOf(container);
    const netconf = { bridge: "oob-br", vlan, ipam: withAddress ? ipam : {}, ...(prevResult && { prevResult }) };
    const path = netnsPath ?? (await this.namespaceOf(container)).path;
    const common = { containerId: container, netnsPath: path, interface: "eth0", networkName: "net", netconf };
    try {
      return (await runCni(this.h.runtime, { command, ...common })) ?? {};
    } catch (error) {
      this.lastError = String(error);
      return null;
    }
  }
  lastError = "";

  async collect(valid: readonly string[] | null): Promise<void> {
    const list = valid?.map((containerID) => ({ containerID, ifname: "eth0" }));
    const netconf = { cniVersion: "1.1.0", bridge: "oob-br", ...(list && { "cni.dev/valid-attachments": list }) };
    const nobody = { containerId: "", netnsPath: "", interface: "" };
    await runCni(this.h.runtime, { command: "GC", ...nobody, networkName: "net", netconf });
  }

  /** What the model says, and nothing else, is in the kernel, on record and held by IPAM. */
  async agrees(model: Model, after: string): Promise<void> {
    const { t, h } = this;
    const links = (await h.host.namespace.links()).filter(isWorkloadLink);
    const ends = links.map(({ alias }) => alias.split(" ").at(-1) ?? "");
    const all = [...model.attached].map(([container]) => `${container}/eth0`).toSorted();
    const alive = [...model.attached].filter(([, { isThere }]) => isThere).map(([container]) => `${container}/eth0`);
    t.deepEqual(ends.toSorted(), alive.toSorted(), `links after ${after}`);
    const files = recordFiles(join(h.directory, "state"));
    t.is(files.filter((name) => name.endsWith(".json")).length, all.length, `records after ${after}: ${files.join()}`);
    const ports = (await h.ports()).filter(({ role }) => role === "workload");
    const expected = alive.toSorted().map((id) => [id, 100 + CONTAINERS.indexOf(id.split("/")[0] ?? ""), true]);
    const found = ports.map(({ attachment, pvid, attached }) => [attachment, pvid, attached]);
    t.deepEqual(
      found.toSorted((a, b) => (String(a[0]) < String(b[0]) ? -1 : 1)),
      expected,
      `ports after ${after}`,
    );
    for (const [container, host] of this.#namespaces) {
      const inside = await host.namespace.link({ name: "eth0" });
      t.is(inside !== null, model.attached.get(container)?.isThere === true, `eth0 of ${container} after ${after}`);
    }
    const held = (await readdir(join(this.leases, "net")).catch(() => [])).filter((name) => /^\d/.test(name));
    const withAddress = [...model.attached.values()].filter((one) => one.withAddress);
    t.is(held.length, withAddress.length, `leases after ${after}: ${held.join()}`);
  }
}

type Step = fc.AsyncCommand<Model, Bed>;

class Add implements Step {
  readonly container: string;
  readonly withAddress: boolean;
  constructor(container: string, withAddress: boolean) {
    this.container = container;
    this.withAddress = withAddress;
  }
  check = () => true;
  async run(model: Model, bed: Bed): Promise<void> {
    const result = await bed.call("ADD", this.container, this.withAddress);
    const there = model.attached.get(this.container);
    bed.t.is(result !== null, there === undefined, `${this.toString()}: ${bed.lastError}`);
    if (result !== null) model.attached.set(this.container, { withAddress: this.withAddress, result, isThere: true });
    await bed.agrees(model, this.toString());
  }
  toString = () => `ADD ${this.container}${this.withAddress ? " with an address" : ""}`;
}

class Delete implements Step {
  readonly container: string;
  readonly withNetns: boolean;
  constructor(container: string, withNetns: boolean) {
    this.container = container;
    this.withNetns = withNetns;
  }
  check = () => true;
  async run(model: Model, bed: Bed): Promise<void> {
    const withAddress = model.attached.get(this.container)?.withAddress ?? false;
    const path = this.withNetns ? {} : { netnsPath: "" };
    bed.t.not(await bed.call("DEL", this.container, withAddress, path), null, `${this.toString()}: ${bed.lastError}`);
    model.attached.delete(this.container);
    await bed.agrees(model, this.toString());
  }
  toString = () => `DEL ${this.container}${this.withNetns ? "" : " without CNI_NETNS"}`;
}

class Check implements Step {
  readonly container: string;
  constructor(container: string) {
    this.container = container;
  }
  check = () => true;
  async run(model: Model, bed: Bed): Promise<void> {
    const there = model.attached.get(this.container);
    const prevResult = there?.result ?? { cniVersion: "1.0.0", interfaces: [] };
    const answer = await bed.call("CHECK", this.container, there?.withAddress ?? false, { prevResult });
    bed.t.is(answer !== null, there?.isThere === true, `${this.toString()}: ${bed.lastError}`);
    await bed.agrees(model, this.toString());
  }
  toString = () => `CHECK ${this.container}`;
}

class Vanish implements Step {
  readonly container: string;
  constructor(container: string) {
    this.container = container;
  }
  check = () => true;
  async run(model: Model, bed: Bed): Promise<void> {
    await bed.removeNamespace(this.container);
    const there = model.attached.get(this.container);
    if (there) there.isThere = false;
    // The kernel takes a namespace apart some time after its last user has gone.
    const id = `${this.container}/eth0`;
    await until(async () => !(await bed.h.host.namespace.links()).some(({ alias }) => alias.endsWith(` ${id}`)));
    await until(async () => !(await bed.h.ports()).some(({ attachment }) => attachment === id));
    await bed.agrees(model, this.toString());
  }
  toString = () => `the namespace of ${this.container} goes`;
}

class Restart implements Step {
  readonly kill: boolean;
  constructor(kill: boolean) {
    this.kill = kill;
  }
  check = () => true;
  async run(model: Model, bed: Bed): Promise<void> {
    if (this.kill) await bed.h.daemon.kill();
    else await bed.h.daemon.stop();
    await bed.h.start({ ready: false });
    await bed.agrees(model, this.toString());
  }
  toString = () => (this.kill ? "kill and start" : "restart");
}

/** What the runtime says is in use stays; without its word only what has lost its namespace goes. */
class Collect implements Step {
  readonly valid: readonly string[] | null;
  constructor(valid: readonly string[] | null) {
    this.valid = valid;
  }
  check = () => true;
  async run(model: Model, bed: Bed): Promise<void> {
    await bed.collect(this.valid);
    for (const [container, { isThere }] of model.attached)
      if (!(this.valid?.includes(container) ?? isThere)) model.attached.delete(container);
    await bed.agrees(model, this.toString());
  }
  toString = () => `GC, valid ${this.valid?.join() ?? "unsaid"}`;
}

/** The plugin asks again while the daemon is away, so either all of it happens or nothing. */
class KilledMeanwhile implements Step {
  readonly container: string;
  readonly command: "ADD" | "DEL";
  constructor(container: string, command: "ADD" | "DEL") {
    this.container = container;
    this.command = command;
  }
  check = (model: Readonly<Model>) => (this.command === "ADD") === !model.attached.has(this.container);
  async run(model: Model, bed: Bed): Promise<void> {
    const withAddress = model.attached.get(this.container)?.withAddress ?? true;
    const calling = bed.call(this.command, this.container, withAddress);
    await sleep(randomInt(12));
    await bed.h.daemon.kill();
    await bed.h.start({ ready: false });
    const result = await calling;
    if (this.command === "DEL") {
      bed.t.not(result, null, `${this.toString()}: ${bed.lastError}`);
      model.attached.delete(this.container);
    } else if (result !== null) {
      model.attached.set(this.container, { withAddress, result, isThere: true });
    } else {
      // As a runtime does after an ADD that failed.
      bed.t.not(await bed.call("DEL", this.container, withAddress), null, `${this.toString()}: ${bed.lastError}`);
    }
    await bed.agrees(model, this.toString());
  }
  toString = () => `${this.command} ${this.container} while the daemon is killed`;
}

const container = fc.constantFrom(...CONTAINERS);
const steps = fc.commands<Model, Bed, false>(
  [
    fc.tuple(container, fc.boolean()).map(([c, withAddress]) => new Add(c, withAddress)),
    fc.tuple(container, fc.boolean()).map(([c, withNetns]) => new Delete(c, withNetns)),
    container.map((c) => new Check(c)),
    container.map((c) => new Vanish(c)),
    fc.option(fc.subarray(CONTAINERS)).map((valid) => new Collect(valid)),
    fc.boolean().map((kill) => new Restart(kill)),
    fc
      .tuple(container, fc.constantFrom("ADD" as const, "DEL" as const))
      .map(([c, verb]) => new KilledMeanwhile(c, verb)),
  ],
  { maxCommands: 40 },
);

test("ADD, DEL, CHECK, GC, restarts, kills and lost namespaces in any order", async (t) => {
  t.timeout(300_000);
  const h = await TestHost.start(t, { intent: OOB() });
  const bed = new Bed(t, h);
  const clear = async (): Promise<void> => {
    for (const one of CONTAINERS) {
      t.not(await bed.call("DEL", one, true), null, bed.lastError);
      await bed.removeNamespace(one);
    }
    await bed.agrees({ attached: new Map() }, "the end");
    t.deepEqual(await readdir(join(h.directory, "state/deletes")).catch(() => []), [], basename(h.directory));
  };
  await fc.assert(
    fc
      .asyncProperty(steps, (sequence) =>
        fc.asyncModelRun(() => ({ model: { attached: new Map() }, real: bed }), sequence),
      )
      .afterEach(clear),
    { numRuns: Number(process.env["PORTWRIGHT_RUNS"] ?? 8), endOnFailure: true },
  );
});
