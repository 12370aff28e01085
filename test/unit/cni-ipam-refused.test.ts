/** IPAM that refuses to give and refuses to take back: nothing waits for it. One that fails otherwise is waited for. */
import test from "ava";
import { IpamError } from "../../daemon/attach/ipam.ts";
import { cni } from "../support/attach-fakes.ts";
import { host, ipamConf, nothingLeft } from "../support/attach-checks.ts";

test("an ADD and its DEL that IPAM refuses leave no record, and the next ADD is not kept waiting", async (t) => {
  const fake = host(t);
  const service = await fake.started();
  fake.onStep = (step) => {
    if (step === "ipam-add" || step === "ipam-del") throw new IpamError(7, "no range", "");
  };
  t.like((await cni(service, { command: "ADD", conf: ipamConf })).json, { code: 7, msg: "no range" });
  nothingLeft(t, fake, service);
  t.deepEqual(fake.ipamCalls, ["ADD host-local", "DEL host-local"]);
  fake.onStep = () => {};
  t.is((await cni(service, { command: "ADD", conf: ipamConf })).exitCode, 0);
});

test("what may have been given stays on record until it is given back", async (t) => {
  for (const [add, del] of [
    [new Error("killed after 30 s"), new IpamError(7, "no range", "")],
    [new IpamError(7, "no range", ""), new Error("killed after 30 s")],
  ] as const) {
    const fake = host(t);
    const service = await fake.started();
    fake.onStep = (step) => {
      if (step === "ipam-add") throw add;
      if (step === "ipam-del") throw del;
    };
    t.is((await cni(service, { command: "ADD", conf: ipamConf })).exitCode, 1);
    t.deepEqual(
      service.list().map(({ state }) => state),
      ["pending"],
    );
  }
});
