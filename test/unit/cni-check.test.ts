/** CHECK against a host made of plain data. */
import test from "ava";
import { IpamError } from "../../daemon/attach/ipam.ts";
import { host, ipamConf } from "../support/attach-checks.ts";
import { cni } from "../support/attach-fakes.ts";

test("CHECK names every difference and tolerates what later plugins do", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  const { json: prevResult } = await cni(service, { command: "ADD", conf: ipamConf });
  const conf = { ...ipamConf, prevResult };
  const check = async (changed: object = conf) => (await cni(service, { command: "CHECK", conf: changed })).json;
  const netns = fake.namespaces.get("/ns/a") ?? t.fail();
  const link = netns.links[0] ?? t.fail();

  // KubeVirt: renamed, another MAC, address moved to a dummy of the old name; and more interfaces than before
  Object.assign(link, { name: "abc-nic", mac: "02:00:00:00:00:77" });
  netns.links.push({ ifindex: 90, name: "eth0", mac: "02:00:00:00:00:78", kind: "dummy", up: false });
  const moved = netns.addresses.splice(0, 1, { ...(netns.addresses[0] as object), ifindex: 90 } as never);
  t.deepEqual(await check(), {});
  Object.assign(link, { name: "eth0", mac: "02:00:00:00:00:02" });
  netns.links.pop();
  netns.addresses.splice(0, 1, ...moved);
  t.deepEqual(await check(), {});

  link.up = false;
  t.like(await check(), { code: 102, msg: "c1/eth0: eth0 in the container is down" });
  link.up = true;
  const [address] = netns.addresses.splice(0, 1);
  t.like(await check(), { code: 102, msg: "c1/eth0: eth0 in the container lacks the address 10.9.0.2/24" });
  netns.addresses.push(address as never);
  const [route] = netns.routes.splice(0, 1);
  t.like(await check(), { code: 102, msg: "c1/eth0: the container lacks the route to 0.0.0.0/0" });
  netns.routes.push(route as never);
  fake.verifyResult.push("the port has PVID 7, not 100");
  t.like(await check(), { code: 102, msg: "c1/eth0: the port has PVID 7, not 100" });
  fake.verifyResult.pop();
  t.like(await check({ ...conf, vlan: 200 }), { code: 102, msg: "c1/eth0: it has VLAN 100, not VLAN 200" });
  t.like(await check({ ...conf, prevResult: { ...prevResult, interfaces: [] } }), {
    code: 102,
    msg: "c1/eth0: prevResult has no interface eth0 in /ns/a",
  });
  t.like(await check({ ...conf, prevResult: undefined }), {
    code: 7,
    msg: "prevResult is missing, and CHECK needs it",
  });
  netns.links.pop();
  t.like(await check(), { code: 102 });
  t.like((await cni(service, { command: "CHECK", conf, containerId: "c9" })).json, { code: 3 });
  t.deepEqual([fake.openHandles, fake.openNamespaces], [0, 0]);
});

test("CHECK asks IPAM, too, and sees a namespace that is another one by now", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  const { json: prevResult } = await cni(service, { command: "ADD", conf: ipamConf });
  const conf = { ...ipamConf, prevResult };
  t.is((await cni(service, { command: "CHECK", conf })).exitCode, 0);
  t.is(fake.ipamCalls.at(-1), "CHECK host-local");
  fake.onStep = (step) => {
    if (step === "ipam-check") throw new IpamError(9, "no such lease", "");
  };
  t.is((await cni(service, { command: "CHECK", conf })).json.code, 9);
  fake.onStep = () => {};
  fake.addNetns("/ns/a");
  t.regex(
    (await cni(service, { command: "CHECK", conf })).json.msg,
    /is not the namespace that c1\/eth0 was attached in/,
  );
});
