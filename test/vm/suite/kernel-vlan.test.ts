// VLAN sub-interfaces and VRFs through the addon, on kernels that have them.
import test from "ava";
import { KernelError } from "../../../daemon/kernel/kernel-error.ts";
import { ip, makeLab } from "../../netns/kernel-lab.ts";

for (const [protocol, name] of [
  [0x8100, "802.1Q"],
  [0x88a8, "802.1ad"],
] as const)
  test(`a sub-interface of ${name} is made on its lower device, and ip agrees`, async (t) => {
    const lab = await makeLab(t);
    const lower = await lab.ns.createLink({ name: "nic0", kind: "dummy", up: true });
    const data = { id: 4094, protocol };
    const { ifindex } = await lab.ns.createLink({
      name: "nic0.4094",
      kind: "vlan",
      link: lower.ifindex,
      data,
      up: true,
    });
    t.like(await lab.ns.link({ ifindex }), { kind: "vlan", link: lower.ifindex, carrier: true, data });
    t.like((await ip(lab, "link", "show", "dev", "nic0.4094"))[0], {
      link: "nic0",
      linkinfo: { info_data: { id: 4094, protocol: name } },
    });
  });

test("a second sub-interface with the same VLAN ID is refused in the kernel's words", async (t) => {
  const { ns } = await makeLab(t);
  const lower = await ns.createLink({ name: "nic0", kind: "dummy" });
  const vlan = (name: string) => ns.createLink({ name, kind: "vlan", link: lower.ifindex, data: { id: 5 } });
  await vlan("a");
  const error = await t.throwsAsync(vlan("b"), { instanceOf: KernelError });
  t.is(error?.code, "EEXIST");
  t.regex(error?.kernelText ?? "", /VLAN device already exists$/);
});

test("a VRF has its table, and members come and go", async (t) => {
  const lab = await makeLab(t);
  const vrf = await lab.ns.createLink({ name: "vrf0", kind: "vrf", data: { table: 4242 }, up: true });
  const nic = await lab.ns.createLink({ name: "nic0", kind: "dummy", master: vrf.ifindex, up: true });
  t.like(await lab.ns.link({ ifindex: vrf.ifindex }), { kind: "vrf", data: { table: 4242 } });
  t.like(await lab.ns.link({ ifindex: nic.ifindex }), { master: vrf.ifindex, masterKind: "vrf" });
  t.is((await ip(lab, "link", "show", "dev", "vrf0"))[0].linkinfo.info_data.table, 4242);
  await lab.ns.changeLink({ ifindex: nic.ifindex }, { master: 0 });
  t.is((await lab.ns.link({ ifindex: nic.ifindex }))?.master, 0);
});
