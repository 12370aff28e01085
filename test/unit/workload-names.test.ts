import test from "ava";
import { hostInterfaceName, workloadMac } from "../../daemon/reconcile/workload-names.ts";

test("a host interface name is 15 characters that the kernel takes, and a function of the id", (t) => {
  t.regex(hostInterfaceName("c1/eth0"), /^pw[a-z2-7]{13}$/);
  t.is(hostInterfaceName("c1/eth0"), hostInterfaceName("c1/eth0"));
  t.not(hostInterfaceName("c1/eth0"), hostInterfaceName("c1/eth1"));
});

test("a workload's MAC is unicast and locally administered, and a function of the id", (t) => {
  for (let n = 0; n < 200; n++) t.regex(workloadMac(`c${n}/eth0`), /^[0-9a-f][26ae](:[0-9a-f]{2}){5}$/);
  t.not(workloadMac("c1/eth0"), workloadMac("c2/eth0"));
});
