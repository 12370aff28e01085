/** DEL against a host made of plain data: whatever the request lacks, what is ours goes, and nothing else. */
import test from "ava";
import { IpamError } from "../../daemon/attach/ipam.ts";
import { host, ipamConf, nothingLeft } from "../support/attach-checks.ts";
import { type CniInput, cni, kernelError } from "../support/attach-fakes.ts";

test("DEL works without a namespace, with an invalid configuration, and twice", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  fake.namespaces.delete("/ns/a");
  const invalid = { ...ipamConf, vlan: 99999, mtu: "x", bridge: 7, cniVersion: "77" };
  const del: CniInput = { command: "DEL", conf: invalid, env: { CNI_NETNS: "", CNI_ARGS: "garbage" } };
  t.is((await cni(service, del)).exitCode, 0);
  nothingLeft(t, fake, service);
  t.is((await cni(service, del)).exitCode, 0);
  t.deepEqual(fake.ipamCalls, ["ADD host-local", "DEL host-local", "DEL host-local"]);
});

test("DEL with text that is not JSON goes by the record; without one it is a decoding error", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  t.is((await cni(service, { command: "DEL", conf: "{" })).exitCode, 0);
  nothingLeft(t, fake, service);
  t.is((await cni(service, { command: "DEL", conf: "{" })).json.code, 6);
});

test("DEL never touches another container's interface, nor another network's", async (t) => {
  const fake = host(t);
  fake.addNetns("/ns/b");
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  t.is((await cni(service, { command: "DEL", conf: ipamConf, containerId: "c2" })).exitCode, 0);
  t.is((await cni(service, { command: "DEL", conf: { ...ipamConf, name: "other" } })).exitCode, 0);
  t.is((await cni(service, { command: "DEL", conf: ipamConf, ifname: "eth1" })).exitCode, 0);
  t.is(fake.ports.size, 1);
  t.is(fake.leases.size, 1);
  t.is(service.list()[0]?.state, "ready");
});

test("DEL reports success when only IPAM fails, and the address is given back later", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  fake.onStep = (step) => {
    if (step === "ipam-del") throw new Error("IPAM is ill");
  };
  t.is((await cni(service, { command: "DEL", conf: ipamConf })).exitCode, 0);
  t.is(fake.ports.size, 0);
  t.is(service.list()[0]?.state, "pending");
  t.is((await cni(service, { command: "ADD", conf: ipamConf })).json.code, 11, "not while the old address is held");
  fake.onStep = () => {};
  nothingLeft(t, fake, await fake.started());
});

test("DEL without a record tells the runtime when IPAM fails: nobody else would remember", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  fake.onStep = (step) => {
    if (step === "ipam-del") throw new IpamError(5, "disk", "");
  };
  t.is((await cni(service, { command: "DEL", conf: ipamConf })).json.code, 5);
});

test("DEL keeps the address while the interface could not be removed", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  fake.onStep = (step) => {
    if (step === "unmake") throw kernelError("EBUSY", 16, "pw10");
  };
  const reply = await cni(service, { command: "DEL", conf: ipamConf });
  t.is(reply.json.msg, "pw10: EBUSY");
  t.is(fake.leases.size, 1);
  fake.onStep = () => {};
  t.is((await cni(service, { command: "DEL", conf: ipamConf })).exitCode, 0);
  nothingLeft(t, fake, service);
});

test("DEL goes on when the disk is full", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  await cni(service, { command: "ADD", conf: ipamConf });
  fake.onStep = (step) => {
    if (step.startsWith("write")) throw kernelError("ENOSPC", 28, "disk");
  };
  t.is((await cni(service, { command: "DEL", conf: ipamConf })).exitCode, 0);
  nothingLeft(t, fake, service);
});

for (const [type, order] of [
  ["host-local", ["unmake", "ipam-del"]],
  ["dhcp", ["ipam-del", "unmake"]],
] as const) {
  test(`${type} gives addresses back ${order[0] === "unmake" ? "when nothing can use them" : "through the interface"}`, async (t) => {
    const fake = host(t);
    const service = await fake.started();
    const conf = { ...ipamConf, ipam: { type } };
    const steps: string[] = [];
    fake.onStep = (step) => {
      if (step === "unmake" || step === "ipam-del") steps.push(step);
      if (step === "route" && steps.length === 0) throw kernelError("EINVAL", 22, "default");
    };
    t.not((await cni(service, { command: "ADD", conf })).exitCode, 0);
    t.deepEqual(steps.splice(0), order);
    fake.onStep = (step) => {
      if (step === "unmake" || step === "ipam-del") steps.push(step);
      if (step === "ipam-del") throw new IpamError(11, "not now", "");
    };
    t.is((await cni(service, { command: "ADD", conf })).exitCode, 0);
    t.is((await cni(service, { command: "DEL", conf })).exitCode, 0);
    t.deepEqual(steps, order);
    t.is(fake.ports.size, 0, "the interface goes all the same");
    t.is(service.list()[0]?.state, "pending", "and is asked for again");
  });
}
