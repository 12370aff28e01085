// The container's end of an attachment gets an MTU: only there, and so that a crash amid it is seen by the next start.
import test from "ava";
import { ContainerEnds } from "../../daemon/attach/workload-ends.ts";
import type { AttachmentRecord } from "../../daemon/attach/records.ts";
import type { Kernel, Link, LinkRef, Namespace, NetnsHandle, PeerRef } from "../../daemon/kernel/kernel.ts";
import { attachment } from "../peers/model-fixtures.ts";
import { link } from "../peers/simulate.ts";

const HOST = 7;
const CONTAINER = 9;

interface World {
  /** by the netns id that the host's end tells */
  far: Link;
  /** in the namespace that the path leads to */
  inside: Link;
  inode: bigint;
  fail: boolean;
  state: "ready" | "pending";
}

function bed(change: Partial<World> = {}) {
  const end = link({ ifindex: CONTAINER, name: "renamed", kind: "veth", mac: "02:00:00:00:01:00", link: HOST });
  const world: World = { far: end, inside: end, inode: 1n, fail: false, state: "ready", ...change };
  const near = link({ ifindex: HOST, name: "pwa", kind: "veth", link: CONTAINER, linkNetnsId: 3 });
  const of = attachment("a", "oob", { mode: "untagged" }, { hostIfindex: HOST, state: world.state });
  const said: (string | number)[] = [];
  let open = 0;
  const container: Partial<Namespace> = {
    link: async (ref) => ("ifindex" in ref && ref.ifindex === CONTAINER ? world.inside : null),
    changeLink: async (ref, settings) => {
      if (world.fail) throw new Error("no");
      said.push(`change ${JSON.stringify(ref)} ${JSON.stringify(settings)}`);
    },
    close: async () => void open--,
  };
  const handle = { device: 4n, inode: world.inode, isOwn: false, close: () => void open-- } satisfies NetnsHandle;
  const kernel: Pick<Kernel, "openNetns" | "enter"> = {
    openNetns: () => {
      open++;
      return handle;
    },
    enter: async () => {
      open++;
      return container as Namespace;
    },
  };
  const host = {
    link: async (ref: LinkRef | PeerRef) => {
      if ("netnsId" in ref) return ref.netnsId === 3 && ref.ifindex === CONTAINER ? world.far : null;
      return "ifindex" in ref && ref.ifindex === HOST ? near : null;
    },
    links: async () => [],
    deleteLink: async () => false,
  };
  const records = {
    get: (id: string) => (id === "a" ? ({ attachment: of } as AttachmentRecord) : undefined),
    putMtu: (_id: string, mtu: number) => void said.push(mtu),
    putIndex: () => {},
  };
  return { ends: new ContainerEnds({ records, kernel, host }), said, leaks: () => open };
}

test("the record says that the MTU is unknown from before the change until after it", async (t) => {
  const { ends, said, leaks } = bed();
  await ends.setMtu("a", 9000);
  t.deepEqual(said, [0, `change {"ifindex":${CONTAINER}} {"mtu":9000}`, 9000]);
  t.is(leaks(), 0);
});

test("an end that has the MTU already is not entered, and the record is put right", async (t) => {
  const { ends, said } = bed({ inode: 2n });
  await ends.setMtu("a", 1500);
  t.deepEqual(said, [0, 1500]);
});

test("nothing is changed for an attachment that is not there or not complete", async (t) => {
  const { ends, said } = bed({ state: "pending" });
  await ends.setMtu("a", 9000);
  await ends.setMtu("b", 9000);
  t.deepEqual(said, []);
});

const end = link({ ifindex: CONTAINER, name: "eth0", kind: "veth", mac: "02:00:00:00:01:00", link: HOST });
for (const [what, change] of [
  ["the path leads to another namespace", { inode: 2n }],
  ["the interface was moved on and its index is another veth's", { inside: { ...end, mac: "02:00:00:00:09:09" } }],
  ["its index is that of a device that is no veth", { inside: { ...end, kind: "dummy" } }],
  ["the kernel refuses", { fail: true }],
] as const) {
  test(`${what}: WORKLOAD_UNREACHABLE, and the record says what it said`, async (t) => {
    const { ends, said, leaks } = bed(change);
    await t.throwsAsync(ends.setMtu("a", 9000), { code: "WORKLOAD_UNREACHABLE" });
    t.deepEqual(said, [0, 1500]);
    t.is(leaks(), 0);
  });
}
