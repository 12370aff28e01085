// What only a VM's kernel has: that it is the kernel which the harness meant, with the devices that the suite is about.
import { release } from "node:os";
import test from "ava";
import { makeLab } from "../../netns/kernel-lab.ts";

for (const kind of ["bond", "dummy", "vrf", "vxlan", "bridge", "ifb"])
  test(`Linux ${release()} has links of kind ${kind}`, async (t) => {
    const { ns } = await makeLab(t);
    const data = kind === "vxlan" ? { id: 1, port: 4789 } : kind === "vrf" ? { table: 10 } : {};
    await ns.createLink({ name: "x", kind, data });
    t.is((await ns.link({ name: "x" }))?.kind, kind);
  });
