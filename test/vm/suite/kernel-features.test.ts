// What only a VM's kernel has: that it is the kernel which the harness meant, with the devices that the suite is about.
import { release } from "node:os";
import test from "ava";
import { nativeKernel } from "../../../daemon/kernel/native.ts";
import { findNics } from "../../../daemon/model/nic-ref.ts";
import { makeLab } from "../../netns/kernel-lab.ts";

for (const kind of ["bond", "dummy", "vrf", "vxlan", "bridge", "ifb"])
  test(`Linux ${release()} has links of kind ${kind}`, async (t) => {
    const { ns } = await makeLab(t);
    const data = kind === "vxlan" ? { id: 1, port: 4789 } : kind === "vrf" ? { table: 10 } : {};
    await ns.createLink({ name: "x", kind, data });
    t.is((await ns.link({ name: "x" }))?.kind, kind);
  });

test("a virtio NIC is found by the path of the PCI function whose child it is", async (t) => {
  const kernel = nativeKernel();
  const handle = kernel.ownNetns();
  t.teardown(() => handle.close());
  const ns = await kernel.enter(handle);
  t.teardown(() => ns.close());
  const found = findNics("pci:0000:00:1f.0", await ns.links());
  t.is(found.length, 1);
  t.like(found[0], { kind: "", parentBus: "virtio" });
});
