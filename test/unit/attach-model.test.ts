/** Random requests, failures, crashes and restarts: what is recorded, made and leased always equals the model. */
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import type { AttachService } from "../../daemon/attach/attach-service.ts";
import { ipamConf as conf } from "../support/attach-checks.ts";
import { ADD_STEPS, cni, FakeHost, kernelError } from "../support/attach-fakes.ts";

type Action =
  | { readonly do: "ADD" | "DEL" | "CHECK"; readonly container: string; readonly failAt: string | null }
  | { readonly do: "restart" }
  | { readonly do: "lose-netns"; readonly container: string };

const container = fc.constantFrom("c1", "c2", "c3");
const anyRequest = fc.record({
  do: fc.constantFrom("ADD" as const, "ADD" as const, "DEL" as const, "CHECK" as const),
  container,
  failAt: fc.option(fc.constantFrom(...ADD_STEPS, "unmake", "ipam-del"), { freq: 2 }),
});
const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 8, arbitrary: anyRequest },
  { weight: 1, arbitrary: fc.constant({ do: "restart" as const }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lose-netns" as const), container }) },
);

/** After a clean-up (a restart without failures) the world is the model and nothing else. */
function compare(
  t: ExecutionContext,
  fake: FakeHost,
  service: AttachService,
  model: ReadonlyMap<string, string>,
): void {
  const ids = [...model.keys()].sort();
  t.deepEqual(
    service
      .list()
      .map((attachment) => attachment.id)
      .sort(),
    ids,
  );
  t.true(service.list().every((attachment) => attachment.state === "ready"));
  t.deepEqual([...fake.ports.keys()].sort(), ids);
  t.deepEqual(
    [...fake.leases.keys()].sort(),
    ids.map((id) => `net ${id}`),
  );
  t.deepEqual([fake.openHandles, fake.openNamespaces], [0, 0]);
}

test("whatever fails, records, ports and leases equal the model", async (t) => {
  await fc.assert(
    fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 25 }), async (actions) => {
      const fake = new FakeHost();
      for (const name of ["c1", "c2", "c3"]) fake.addNetns(`/ns/${name}`);
      try {
        let service = await fake.started();
        const model = new Map<string, string>();
        for (const one of actions) {
          fake.onStep = () => {};
          if (one.do === "restart") {
            service.close();
            service = await fake.started();
            compare(t, fake, service, model);
            continue;
          }
          if (one.do === "lose-netns") {
            const links = fake.namespaces.get(`/ns/${one.container}`)?.links;
            links?.splice(0, links.length); // the container's interface is gone; DEL must not mind
            continue;
          }
          const id = `${one.container}/eth0`;
          fake.onStep = (step) => {
            if (step === one.failAt) throw kernelError("EIO", 5, step);
          };
          const prevResult = JSON.parse(model.get(id) ?? '{"interfaces":[]}');
          const input = { command: one.do, containerId: one.container, netns: `/ns/${one.container}` };
          const reply = await cni(service, { ...input, conf: one.do === "CHECK" ? { ...conf, prevResult } : conf });
          if (one.do === "ADD" && reply.exitCode === 0) {
            if (model.has(id)) t.fail("attached twice");
            model.set(id, reply.stdout);
          }
          if (one.do === "DEL") {
            // Whatever the answer: a DEL that failed is tried again by the runtime, and by us at the next start.
            model.delete(id);
            if (reply.exitCode !== 0) t.true(one.failAt === "unmake" || one.failAt === "ipam-del", reply.stdout);
          }
          if (one.do === "CHECK" && !model.has(id)) t.is(reply.exitCode, 1);
        }
        fake.onStep = () => {};
        service.close();
        service = await fake.started();
        compare(t, fake, service, model);
        service.close();
      } finally {
        fake.dispose();
      }
    }),
    { numRuns: 150 },
  );
  t.pass();
});

/** From `step` on nothing that the daemon of now begins ever ends, as if it had been killed there. */
async function crashAt(fake: FakeHost, step: string): Promise<void> {
  const never = new Promise<void>(() => {});
  let dead = false;
  await new Promise<void>((resolve) => {
    fake.onStep = (now) => {
      if (now === step && !dead) {
        dead = true;
        setTimeout(resolve, 30); // what runs beside it comes to its own last step
      }
      return dead ? never : undefined;
    };
  });
  fake.onStep = () => {};
}

for (const step of [
  "make",
  "made",
  "enter",
  "ipam-add",
  "ipam-added",
  "ipam-confirmed",
  "address",
  "route",
  "announce",
]) {
  test(`a crash of the daemon at ${step} is undone at the next start`, async (t) => {
    const fake = new FakeHost();
    t.teardown(() => fake.dispose());
    fake.addNetns("/ns/a");
    const crashed = await fake.started();
    const crash = crashAt(fake, step);
    void cni(crashed, { command: "ADD", conf });
    await crash;
    const service = await fake.started();
    t.deepEqual(service.list(), []);
    t.is(fake.ports.size, 0);
    t.is(fake.leases.size, 0);
    t.is((await cni(service, { command: "ADD", conf })).exitCode, 0);
  });
}

for (const step of ["unmake", "ipam-del"]) {
  test(`a crash of the daemon at ${step} of a DEL is carried on at the next start`, async (t) => {
    const fake = new FakeHost();
    t.teardown(() => fake.dispose());
    fake.addNetns("/ns/a");
    const crashed = await fake.started();
    await cni(crashed, { command: "ADD", conf });
    const crash = crashAt(fake, step);
    void cni(crashed, { command: "DEL", conf });
    await crash;
    t.deepEqual((await fake.started()).list(), []);
    t.is(fake.ports.size, 0);
    t.is(fake.leases.size, 0);
  });
}

test("after a reboot nothing of before is believed: links are left alone, addresses are given back", async (t) => {
  const fake = new FakeHost();
  t.teardown(() => fake.dispose());
  fake.addNetns("/ns/a");
  await cni(await fake.started(), { command: "ADD", conf });
  const service = fake.service({ epoch: "two" });
  t.is(service.list()[0]?.state, "pending");
  let unmade = 0;
  fake.onStep = (step) => {
    if (step === "unmake") unmade++;
  };
  await service.recover();
  t.deepEqual(service.list(), []);
  t.is(fake.leases.size, 0);
  t.is(unmade, 0);
});

test("ready attachments survive a restart untouched", async (t) => {
  const fake = new FakeHost();
  t.teardown(() => fake.dispose());
  fake.addNetns("/ns/a");
  const first = await fake.started();
  await cni(first, { command: "ADD", conf: { ...conf, vlan: 7, vlanTrunk: [{ minID: 100, maxID: 110 }] } });
  const before = JSON.stringify(first.list());
  const calls = fake.ipamCalls.length;
  fake.onStep = (step) => t.fail(`nothing may happen: ${step}`);
  const second = await fake.started();
  t.is(JSON.stringify(second.list()), before);
  const vlans = second.list()[0]?.vlans;
  t.is(vlans?.mode === "trunk" && `${vlans.tagged} ${vlans.native} ${vlans.tagged.has(105)}`, "100-110 7 true");
  t.is(fake.ipamCalls.length, calls);
});

test("clients that are not CNI attach by network, with static addresses", async (t) => {
  const fake = new FakeHost();
  t.teardown(() => fake.dispose());
  const netns = fake.addNetns("/ns/a");
  const { vlanNetwork } = await import("../support/attach-fakes.ts");
  fake.networks.set("vlan100", vlanNetwork("vlan100", 100));
  const service = await fake.started();
  const request = {
    network: "vlan100",
    netns: "/ns/a",
    containerId: "vm-1",
    interface: "net0",
    mac: "",
    addresses: ["10.0.0.2/24", "fd00::2/64"],
    state: "ready" as const,
  };
  const attachment = await service.attach(request);
  t.like(attachment, { id: "vm-1/net0", state: "ready", network: "vlan100", origin: { kind: "api" } });
  t.deepEqual(
    netns.addresses.map((a) => a.address),
    ["10.0.0.2", "fd00::2"],
  );
  await t.throwsAsync(service.attach(request), { code: "ATTACHMENT_EXISTS" } as never);
  await service.detach("vm-1/net0");
  t.deepEqual(netns.links, []);
  await t.throwsAsync(service.detach("vm-1/net0"), { code: "ATTACHMENT_UNKNOWN" } as never);
  for (const [change, code] of [
    [{ network: "nope" }, "NETWORK_UNKNOWN"],
    [{ netns: "/ns/none" }, "NETNS_INVALID"],
    [{ netns: "ns/a" }, "NETNS_INVALID"],
    [{ containerId: "a/b" }, "REQUEST_INVALID"],
    [{ interface: "sixteen-bytes-ab" }, "REQUEST_INVALID"],
    [{ mac: "ff:ff:ff:ff:ff:ff" }, "REQUEST_INVALID"],
    [{ addresses: ["10.0.0.2"] }, "REQUEST_INVALID"],
  ] as const)
    await t.throwsAsync(service.attach({ ...request, ...change }), { code } as never, code);
  t.deepEqual(service.list(), []);
});
