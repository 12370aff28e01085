import test from "ava";
import { KernelError } from "../../daemon/kernel/kernel-error.ts";
import { ip, ipDo, makeLab } from "./kernel-lab.ts";

test("when deleteLink resolves, both ends of the veth are gone from their namespaces", async (t) => {
  const [host, pod] = [await makeLab(t), await makeLab(t)];
  for (let i = 0; i < 20; i++) {
    const name = `v${i}`;
    const { ifindex } = await host.ns.createLink({
      name,
      kind: "veth",
      up: true,
      peer: { name: "eth0", netns: pod.handle },
    });
    await pod.ns.changeLink({ name: "eth0" }, { up: true });
    t.true(await host.ns.deleteLink(i % 2 ? { ifindex } : { name }));
    const [here, there] = await Promise.all([host.ns.links(), pod.ns.links()]);
    t.deepEqual(
      [here, there].map((links) => links.map((link) => link.name)),
      [["lo"], ["lo"]],
    );
  }
  t.deepEqual([(await ip(host, "link")).length, (await ip(pod, "link")).length], [1, 1]);
});

test("the name is free again at once", async (t) => {
  const { ns } = await makeLab(t);
  for (let i = 0; i < 10; i++) {
    await ns.createLink({ name: "again", kind: "veth", peer: { name: "peer" } });
    t.true(await ns.deleteLink({ name: "again" }));
  }
});

test("a link that is not there is false, twice deleted is one true", async (t) => {
  const { ns } = await makeLab(t);
  t.false(await ns.deleteLink({ name: "none" }));
  t.false(await ns.deleteLink({ ifindex: 9999 }));
  const { ifindex } = await ns.createLink({ name: "br0", kind: "bridge" });
  await Promise.all([ns.deleteLink({ ifindex }), ns.deleteLink({ ifindex })]);
  t.is(await ns.link({ ifindex }), null);
  t.false(await ns.deleteLink({ ifindex }));
});

test("a port leaving its bridge is not taken for its deletion", async (t) => {
  const lab = await makeLab(t);
  const bridge = await lab.ns.createLink({ name: "br0", kind: "bridge" });
  const veth = { name: "v0", kind: "veth", master: bridge.ifindex, peer: { name: "v1" } };
  const port = await lab.ns.createLink(veth);
  // Deleting the bridge announces RTM_DELLINK with AF_BRIDGE for the port, whose own deletion is not asked for.
  t.true(await lab.ns.deleteLink({ ifindex: bridge.ifindex }));
  t.like(await lab.ns.link({ ifindex: port.ifindex }), { name: "v0", master: 0 });
});

test("what cannot be deleted is an error with the kernel's reason", async (t) => {
  const { ns } = await makeLab(t);
  const error = await t.throwsAsync(ns.deleteLink({ name: "lo" }), { instanceOf: KernelError });
  t.like(error, { code: "EOPNOTSUPP", op: "RTM_DELLINK", object: "lo" });
});

test("many deletions at once all resolve, none for another's sake", async (t) => {
  const [host, pod] = [await makeLab(t), await makeLab(t)];
  const names = Array.from({ length: 30 }, (_, i) => `v${i}`);
  for (const [i, name] of names.entries()) {
    await host.ns.createLink({ name, kind: "veth", peer: { name: `e${i}`, netns: pod.handle } });
  }
  await Promise.all(
    names.map(async (name, i) => {
      t.true(await host.ns.deleteLink({ name }));
      t.is(await host.ns.link({ name }), null);
      t.is(await pod.ns.link({ name: `e${i}` }), null);
    }),
  );
});

test("links of ours that go at once go together, and leave alone who is not asked for; who went by itself is no hindrance", async (t) => {
  const [host, pod] = [await makeLab(t), await makeLab(t)];
  const make = async (name: string, alias: string) =>
    await host.ns.createLink({ name, kind: "veth", alias, up: true, peer: { name: `e${name}`, netns: pod.handle } });
  const ours = Array.from({ length: 24 }, (_, i) => `v${i}`);
  for (const name of ours) await make(name, `portwright test ${name}`);
  await make("stays", "portwright test stays");
  await make("theirs", "a stranger's");
  await make("gone", "portwright test gone");
  const { netlink } = host.ns.writes;
  const going = ours.map((name) => host.ns.deleteLink({ name }));
  await Promise.all([...going, host.ns.deleteLink({ name: "theirs" })]);
  t.true((await Promise.all(going)).every(Boolean));
  t.true(host.ns.writes.netlink > netlink + ours.length + 1, "groups were set, so some went together");
  const left = async () => (await host.ns.links()).map(({ name }) => name).toSorted();
  t.deepEqual(await left(), ["gone", "lo", "stays"]);
  t.deepEqual((await pod.ns.links()).map(({ name }) => name).toSorted(), ["egone", "estays", "lo"]);

  const more = ["a", "b", "c"];
  for (const name of more) await make(name, `portwright test ${name}`);
  const all = [...more, "gone"].map((name) => host.ns.deleteLink({ name }));
  await pod.ns.deleteLink({ name: "egone" });
  await Promise.all(all);
  t.deepEqual(await left(), ["lo", "stays"]);
});

test("deletions that wait for others when the namespace is closed are done all the same", async (t) => {
  const lab = await makeLab(t);
  const { ns } = lab;
  const names = Array.from({ length: 12 }, (_, i) => `v${i}`);
  for (const name of names)
    await ns.createLink({ name, kind: "veth", alias: `portwright ${name}`, peer: { name: `e${name}` } });
  const going = names.map((name) => ns.deleteLink({ name }));
  await ns.close();
  await Promise.all(going);
  t.deepEqual(
    (await ip(lab, "link")).map(({ ifname }) => ifname),
    ["lo"],
  );
});

test("other work goes on while the kernel finishes a deletion", async (t) => {
  const { ns } = await makeLab(t);
  await ns.createLink({ name: "v0", kind: "veth", peer: { name: "v1" } });
  const order: string[] = [];
  await Promise.all([
    ns.deleteLink({ name: "v0" }).then(() => order.push("deleted")),
    ns.createLink({ name: "br0", kind: "bridge" }).then(() => order.push("created")),
  ]);
  t.is(order.length, 2);
  t.deepEqual((await ns.links()).map((link) => link.name).sort(), ["br0", "lo"]);
});

test("a link that someone else deletes meanwhile is simply gone", async (t) => {
  const lab = await makeLab(t);
  for (let i = 0; i < 5; i++) {
    await lab.ns.createLink({ name: "v0", kind: "veth", peer: { name: "v1" } });
    await Promise.all([ipDo(lab, "link", "del", "v0").catch(() => {}), lab.ns.deleteLink({ name: "v0" })]);
    t.is(await lab.ns.link({ name: "v0" }), null);
  }
});
