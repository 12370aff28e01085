// The rung of the datapath that a kernel allows is the one in use and the one in status, with its reason.
import { release } from "node:os";
import test from "ava";
import { OOB, staticIpam, TestHost } from "../../support/test-host.ts";

const [major = 0, minor = 0] = release().split(".").map(Number);
const expected =
  major > 6 || (major === 6 && minor >= 6)
    ? { rung: "tcx+peer", reason: "" }
    : { rung: "clsact+peer", reason: "the kernel has no tcx (Linux 6.6)" };

test(`on Linux ${major}.${minor} the rung is ${expected.rung}, and ports are attached`, async (t) => {
  const h = await TestHost.start(t, { intent: OOB() });
  await h.add("a", { vlan: 100, ...staticIpam("10.100.0.11/24") });
  t.like((await h.status()).datapath, { kind: "ebpf", ...expected });
  t.is((await h.ports()).length, 2);
});
