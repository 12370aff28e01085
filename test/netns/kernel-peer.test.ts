/** Links of another namespace by its id: read, listed and deleted, but never changed. */
import test from "ava";
import { makeLab } from "./kernel-lab.ts";

test("a veth's peer is read by the id of its namespace, and changed only in its own", async (t) => {
  const [near, far] = [await makeLab(t), await makeLab(t)];
  const peer = { name: "inner", netns: far.handle, mtu: 1400 };
  const { ifindex, peerIfindex } = await near.ns.createLink({ kind: "veth", name: "outer", mtu: 1600, peer });
  const outer = await near.ns.link({ ifindex });
  t.is(outer?.link, peerIfindex);
  const ref = { ifindex: peerIfindex, netnsId: outer?.linkNetnsId ?? -1 };
  await far.ns.changeLink({ ifindex: peerIfindex }, { name: "renamed" });
  t.like(await near.ns.link(ref), { ifindex: peerIfindex, name: "renamed", mtu: 1400, link: ifindex });
  t.is(await near.ns.link({ ...ref, ifindex: 4242 }), null);
  // Sent to the kernel it would move a device of this namespace over there.
  await t.throwsAsync(near.ns.changeLink(ref, { mtu: 1300 }), { code: "EINVAL" });
  t.is((await far.ns.link({ ifindex: peerIfindex }))?.mtu, 1400);
});

test("links of another namespace are listed and deleted by its id, also when no path leads there any more", async (t) => {
  const [near, far] = [await makeLab(t), await makeLab(t)];
  const peer = { name: "inner", netns: far.handle };
  const { ifindex, peerIfindex } = await near.ns.createLink({ kind: "veth", name: "outer", peer });
  const { ifindex: other } = await far.ns.createLink({ kind: "veth", name: "other", peer: { name: "end" } });
  await near.ns.createLink({ kind: "veth", name: "same", peer: { name: "index" } });
  const netnsId = (await near.ns.link({ ifindex }))?.linkNetnsId ?? -1;
  const names = async (links: Promise<readonly { name: string }[]>) => (await links).map(({ name }) => name).toSorted();
  t.deepEqual(await names(near.ns.links(netnsId)), ["end", "inner", "lo", "other"]);
  t.true(await near.ns.deleteLink({ ifindex: other, netnsId }));
  t.deepEqual(await names(far.ns.links()), ["inner", "lo"]);
  t.deepEqual(await names(near.ns.links()), ["index", "lo", "outer", "same"]);
  t.false(await near.ns.deleteLink({ ifindex: other, netnsId }), "it is gone");
  t.true(await near.ns.deleteLink({ ifindex: peerIfindex, netnsId }));
  t.deepEqual(await names(near.ns.links()), ["index", "lo", "same"]);
  await t.throwsAsync(near.ns.links(4242), { code: "EINVAL" });
  // The end of a link here says nothing of one there that has the same index.
  for (let i = 0; i < 10; i++) {
    const { ifindex: here } = await near.ns.createLink({ kind: "veth", name: "a", peer: { name: "b" } });
    const both = [near.ns.deleteLink({ ifindex: here }), near.ns.deleteLink({ ifindex: here, netnsId })];
    t.deepEqual(await Promise.all(both), [true, false]);
  }
});
