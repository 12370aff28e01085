// The ingress hook in both its forms, where the kernel has them: hung up, replaced in place, seen, swept, taken off.
import { execFile } from "node:child_process";
import { mkdir } from "node:fs/promises";
import { promisify } from "node:util";
import test, { type ExecutionContext } from "ava";
import { chooseHook, ClsactHook, type Hook, SettlingHook } from "../../daemon/datapath/ebpf/hook.ts";
import { pinPaths } from "../../daemon/datapath/ebpf/pins.ts";
import type { Bpf, BpfProgram } from "../../daemon/kernel/bpf.ts";
import { HAS_TCX } from "../support/hooks.ts";
import { needs } from "../support/needs.ts";
import { bpffs, compile } from "./fixtures/lab.ts";
import { type Lab, makeLab } from "./kernel-lab.ts";

const run = promisify(execFile);

async function tc(lab: Lab, ...args: string[]): Promise<string> {
  return (await run("tc", ["-netns", lab.name, ...args])).stdout;
}

let file: string;
test.before(async () => {
  file = await compile("kernel-bpf");
});

interface Bed {
  readonly lab: Lab;
  readonly bpf: Bpf;
  readonly programs: readonly [BpfProgram, BpfProgram];
  readonly links: readonly [number, number];
  hook(kind: Kind, program: BpfProgram): Hook;
}
type Kind = "tcx" | "clsact";

async function bed(t: ExecutionContext): Promise<Bed> {
  const pins = pinPaths(bpffs(t), 1);
  await mkdir(pins.links, { recursive: true });
  const lab = await makeLab(t);
  const { bpf } = lab.ns;
  const { ifindex, peerIfindex } = await lab.ns.createLink({ name: "a", kind: "veth", peer: { name: "b" } });
  const object = await bpf.load(file);
  const named = (name: string) => object.programs.get(name) as BpfProgram;
  return {
    lab,
    bpf,
    programs: [named("first"), named("second")],
    links: [ifindex, peerIfindex],
    hook: (kind, program) =>
      kind === "tcx" ? new SettlingHook(lab.ns, program, pins) : new ClsactHook(lab.ns, program),
  };
}

/** ids of all programs on the hook */
async function hanging({ bpf }: Bed, kind: Kind, ifindex: number): Promise<number[]> {
  if (kind === "tcx") return (await bpf.queryTcx(ifindex)).map(({ programId }) => programId);
  const id = await bpf.queryClsact(ifindex);
  return id === 0 ? [] : [id];
}

for (const kind of ["tcx", "clsact"] as const) {
  const onKernel = needs(kind === "clsact" || HAS_TCX, "tcx (Linux 6.6)");

  onKernel(`${kind}: a program is hung up, replaced in place by another and taken off`, async (t) => {
    const b = await bed(t);
    const [ifindex, other] = b.links;
    const [first, second] = b.programs;
    const [before, after] = [b.hook(kind, first), b.hook(kind, second)];
    t.false(await before.isAttached(ifindex));
    await before.attach(ifindex, "in use");
    await before.attach(ifindex, "in use");
    t.deepEqual([await before.isAttached(ifindex), await before.isAttached(other)], [true, false]);
    t.deepEqual(await hanging(b, kind, ifindex), [first.id]);
    await after.attach(ifindex, "in use");
    t.deepEqual([await before.isAttached(ifindex), await after.isAttached(ifindex)], [false, true]);
    t.deepEqual(await hanging(b, kind, ifindex), [second.id]);
    await after.detach(ifindex);
    t.deepEqual(await hanging(b, kind, ifindex), []);
    t.false(await after.isAttached(ifindex));
  });

  onKernel(`${kind}: what an earlier program left is found`, async (t) => {
    const b = await bed(t);
    const [first, second] = b.programs;
    t.deepEqual(await b.hook(kind, second).attached(), []);
    await b.hook(kind, first).attach(b.links[1], "in use");
    t.deepEqual(await b.hook(kind, second).attached(), [b.links[1]]);
  });

  onKernel(`${kind}: taking off what is not there, or of a link that is gone, is no error`, async (t) => {
    const b = await bed(t);
    const [ifindex] = b.links;
    const hook = b.hook(kind, b.programs[0]);
    await hook.detach(ifindex);
    await hook.attach(ifindex, "in use");
    await b.lab.ns.deleteLink({ ifindex });
    t.false(await hook.isAttached(ifindex));
    await hook.detach(ifindex);
    t.deepEqual(await hook.attached(), []);
  });
}

const withTcx = needs(HAS_TCX, "tcx (Linux 6.6)");

withTcx("a port lacks its program only if it hangs in neither form, and a filter that was left is found", async (t) => {
  const b = await bed(t);
  const [begun, settled] = b.links[0] < b.links[1] ? b.links : ([b.links[1], b.links[0]] as const);
  const [first, second] = b.programs;
  const links = [begun, settled];
  const hook = b.hook("tcx", first);
  t.deepEqual(await hook.missing(links), [begun, settled]);
  await hook.attach(begun, "new");
  await hook.attach(settled, "new");
  t.deepEqual(await hook.missing(links), []);
  t.true(await hook.settle(settled));
  t.deepEqual([await hanging(b, "clsact", begun), await hanging(b, "tcx", begun)], [[first.id], []]);
  t.deepEqual([await hanging(b, "clsact", settled), await hanging(b, "tcx", settled)], [[], [first.id]]);
  t.deepEqual(await hook.missing(links), []);
  const later = b.hook("tcx", second);
  t.deepEqual(
    [...(await later.attached())].toSorted((one, other) => one - other),
    [begun, settled],
  );
  t.deepEqual(await later.missing(links), [begun, settled]);
  await b.bpf.detachClsact(begun);
  t.deepEqual(await hook.missing(links), [begun]);
  await hook.detach(settled);
  t.deepEqual(await hook.missing(links), [begun, settled]);
});

test("a filter of somebody else is not taken for ours, and stays", async (t) => {
  const b = await bed(t);
  const [ifindex] = b.links;
  const pin = `${bpffs(t)}/second`;
  await b.bpf.pin(b.programs[1], pin);
  await tc(b.lab, "qdisc", "add", "dev", "a", "clsact");
  await tc(
    b.lab,
    ...["filter", "add", "dev", "a", "ingress", "prio", "1", "handle", "1", "protocol", "all"],
    ...["bpf", "direct-action", "object-pinned", pin],
  );
  const hook = b.hook("clsact", b.programs[0]);
  t.deepEqual(await hook.attached(), []);
  await hook.attach(ifindex, "in use");
  t.true(await hook.isAttached(ifindex));
  await hook.detach(ifindex);
  const shown = await tc(b.lab, "-json", "filter", "show", "dev", "a", "ingress");
  const filters = (JSON.parse(shown) as { options?: { handle?: string } }[]).flatMap((f) => f.options?.handle ?? []);
  t.deepEqual(filters, ["0x1"]);
});

test("the hook that the kernel has is chosen, and the reason is told where it is not the best", async (t) => {
  const b = await bed(t);
  const { rung } = await chooseHook(b.lab.ns, b.programs[0], pinPaths(bpffs(t), 1));
  t.deepEqual(
    rung,
    HAS_TCX ? { name: "tcx+peer", reason: "" } : { name: "clsact+peer", reason: "the kernel has no tcx (Linux 6.6)" },
  );
});
