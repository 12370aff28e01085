// What the kernel can do is found out without making anything.
import test from "ava";
import { hasLinkKind, kernelFeatures } from "../../daemon/kernel/features.ts";
import { isKernelError } from "../../daemon/kernel/kernel-error.ts";
import { makeLab } from "./kernel-lab.ts";

test("a kind of link is there or not, and asking makes none", async (t) => {
  const { ns } = await makeLab(t);
  t.true(await hasLinkKind(ns, "bridge"));
  t.true(await hasLinkKind(ns, "veth"));
  t.false(await hasLinkKind(ns, "nosuchkind"));
  t.deepEqual(
    (await ns.links()).map(({ name }) => name),
    ["lo"],
  );
});

test("bonding is told as an attempt to make a bond finds it", async (t) => {
  const { ns } = await makeLab(t);
  const { bonding } = await kernelFeatures(ns);
  const made = await ns.createLink({ name: "bond0", kind: "bond" }).then(
    () => true,
    (error: unknown) => {
      t.true(isKernelError(error, "EOPNOTSUPP"));
      return false;
    },
  );
  t.is(bonding, made);
});

test("VLAN filtering of bridges is told as an attempt to switch it on finds it, and asking makes none", async (t) => {
  const { ns } = await makeLab(t);
  const { vlanFiltering } = await kernelFeatures(ns);
  t.deepEqual(
    (await ns.links()).map(({ name }) => name),
    ["lo"],
  );
  const made = await ns.createLink({ name: "br0", kind: "bridge", data: { vlanFiltering: true } }).then(
    () => true,
    (error: unknown) => {
      t.true(isKernelError(error, "EOPNOTSUPP"));
      return false;
    },
  );
  t.is(vlanFiltering, made);
});
