// The daemon over a bond: workloads' frames while members fail, NICs come late, modes and MTUs change, and LACP with a
// partner that is a bond in another namespace. Frames that are lost are told: each stands for 10 ms.
import test from "ava";
import {
  bondHost,
  bondOf,
  bondText,
  change,
  clusterNetwork,
  farEnds,
  memberStates,
  membersOf,
  modeOf,
  NICS,
  Stream,
  wireIp,
} from "../../support/bond-host.ts";
import { tap, TestHost } from "../../support/test-host.ts";
import { until } from "../../support/until.ts";
import { BROADCAST, frame, station, text } from "../../peers/frames.ts";

/** A member's failure may cost less than a second. */
const SECOND = 100;

test.serial(
  "active-backup: the member that carries fails, the other one takes over, both ways, and VLANs stay",
  async (t) => {
    const { h, inside } = await bondHost(t, { mode: "active-backup", miimon: 100 });
    t.like(await clusterNetwork(h), { uplinkKind: "bond", bondMode: "active-backup" });
    t.deepEqual(await memberStates(h), ["nic0 active", "nic1 backup"]);
    const wires = await farEnds(t, h);
    const stream = new Stream(t, inside, wires);
    await stream.over();
    for (const failing of NICS) {
      const lost = await stream.over(() => wireIp(h, "link", "set", failing, "down"));
      t.log(`${failing} failed: ${lost * 10} ms of frames lost`);
      t.true(lost < SECOND, `${lost} frames`);
      t.true((await memberStates(h)).includes(`${failing} no-carrier`));
      const alive = wires[failing === "nic0" ? 1 : 0];
      t.true(alive?.frames.some(({ vlan }) => vlan?.tci === 100));
      const payload = text(`in by ${failing}`);
      await alive?.send(frame({ dst: BROADCAST, src: station(2), tags: [{ vid: 100 }], payload }));
      await until(() => inside.frames.some(({ data }) => Buffer.from(data).includes(`in by ${failing}`)));
      await wireIp(h, "link", "set", failing, "up");
      await until(async () => (await memberStates(h)).includes(`${failing} backup`));
    }
  },
);

test.serial(
  "no frame without a tag, or of VLAN 1 or another VLAN, reaches a workload of VLAN 100, nor the other way",
  async (t) => {
    const { h, inside } = await bondHost(t, { mode: "active-backup" });
    const native = await h.add("native", { vlan: 0 });
    const untagged = await tap(t, native.host, "eth0");
    const wires = await farEnds(t, h);
    const send = async (name: string, tags: readonly { readonly vid: number }[]) => {
      await wires[0]?.send(frame({ dst: BROADCAST, src: station(7), tags, payload: text(`to ${name}.`) }));
    };
    const saw = (one: typeof inside, what: string) => one.frames.some(({ data }) => Buffer.from(data).includes(what));
    await send("native", [{ vid: 1 }]);
    await send("nobody", [{ vid: 200 }]);
    await send("untagged", []);
    await send("tagged", [{ vid: 100 }]);
    await until(() => saw(inside, "to tagged.") && saw(untagged, "to untagged."));
    t.false(saw(inside, "to untagged.") || saw(inside, "to native.") || saw(untagged, "to tagged."));
    t.false(saw(inside, "to nobody.") || saw(untagged, "to nobody."));
    await inside.send(frame({ dst: BROADCAST, src: station(1), payload: text("from tagged.") }));
    await untagged.send(frame({ dst: BROADCAST, src: station(3), payload: text("from untagged.") }));
    await until(() => wires.some((w) => saw(w, "from tagged.")) && wires.some((w) => saw(w, "from untagged.")));
    const tagsOf = (what: string) =>
      wires.flatMap((w) =>
        w.frames.filter(({ data }) => Buffer.from(data).includes(what)).map(({ vlan }) => vlan?.tci),
      );
    t.deepEqual([tagsOf("from tagged."), tagsOf("from untagged.")], [[100], [undefined]]);
  },
);

test.serial(
  "LACP: both members in one aggregator with the partner; one fails and traffic goes on by the other",
  async (t) => {
    const options = { mode: "802.3ad", lacpRate: "fast", miimon: 100, xmitHashPolicy: "layer2" };
    const h = await TestHost.start(t, { intent: bondText(NICS, options), nics: [], ready: false });
    t.deepEqual(await memberStates(h), ["nic0 absent", "nic1 absent"]);
    // The partner first: a bond whose members are the far ends.
    await wireIp(h, "link", "add", "lag0", "type", "bond", "mode", "802.3ad", "lacp_rate", "fast", "miimon", "100");
    for (const name of NICS) {
      await h.lab.cable({ host: h.host, interface: name }, { host: h.wire, interface: name });
      await wireIp(h, "link", "set", name, "down");
      await wireIp(h, "link", "set", name, "master", "lag0");
    }
    await wireIp(h, "link", "set", "lag0", "up");
    const partner = await h.wire.namespace.link({ name: "lag0" });
    const isWhole = async () => (await memberStates(h)).join() === "nic0 active,nic1 active";
    await until(isWhole);
    t.like((await bondOf(h)).data, { adNumPorts: 2, adPartnerMac: partner?.mac });
    t.deepEqual(
      (await clusterNetwork(h)).members.map((member) => member.partner),
      [partner?.mac, partner?.mac],
    );
    const pod = await h.add("pod", { vlan: 100 });
    const [inside, lag] = [await tap(t, pod.host, "eth0"), await tap(t, h.wire, "lag0")];
    await until(async () => (await h.status()).ready);
    const stream = new Stream(t, inside, [lag]);
    await stream.over();
    for (const failing of NICS) {
      const lost = await stream.over(() => wireIp(h, "link", "set", failing, "down"));
      t.log(`${failing} failed: ${lost * 10} ms of frames lost`);
      t.true(lost < SECOND, `${lost} frames`);
      await wireIp(h, "link", "set", failing, "up");
      await until(isWhole);
    }
    stream.stop();
    t.true(lag.frames.every(({ data, vlan }) => !Buffer.from(data).includes("number") || vlan?.tci === 100));
  },
);

test.serial(
  "another mode: the bond, its port, its VLANs and the workload's traffic are there afterwards",
  async (t) => {
    const { h, inside } = await bondHost(t, { mode: "active-backup" });
    const before = { bond: await bondOf(h), port: (await h.ports()).find(({ role }) => role === "uplink") };
    t.is(before.port?.device, "oob-bo");
    const stream = new Stream(t, inside, await farEnds(t, h));
    await stream.over();
    for (const mode of ["balance-xor", "balance-tlb", "balance-rr", "broadcast", "active-backup"]) {
      const lost = await stream.over(async () => {
        await change(h, bondText(NICS, { mode }));
        await until(async () => (await modeOf(h)) === mode && (await h.status()).ready);
      });
      t.log(`${mode}: ${lost * 10} ms of frames lost`);
      t.like(await bondOf(h), { ifindex: before.bond.ifindex, mac: before.bond.mac });
      const port = (await h.ports()).find(({ role }) => role === "uplink");
      t.deepEqual(
        [port?.allowed, port?.pvid, port?.attached, port?.ifindex],
        [before.port?.allowed, before.port?.pvid, true, before.port?.ifindex],
      );
    }
  },
);

test.serial("a NIC that is absent at the start is waited for, and joins the bond when it appears", async (t) => {
  const { h, inside } = await bondHost(t, {}, { nics: [{ name: "nic0" }], ready: false });
  await until(async () => (await clusterNetwork(h)).ready); // the network works by the one that is there
  t.deepEqual(
    (await h.status()).conditions.map(({ code, object }) => `${object} ${code}`),
    ["VlanConfig/oob-uplink NIC_ABSENT"],
  );
  t.deepEqual(await memberStates(h), ["nic0 active", "nic1 absent"]);
  const stream = new Stream(t, inside, [await tap(t, h.wire, "nic0")]);
  await stream.over();
  const lost = await stream.over(async () => {
    await h.lab.cable({ host: h.host, interface: "nic1" }, { host: h.wire, interface: "nic1" });
    await until(async () => (await memberStates(h)).join() === "nic0 active,nic1 backup");
  });
  t.is(lost, 0, "nobody noticed");
  t.deepEqual((await h.status()).conditions, []);
});

test.serial(
  "one NIC is replaced by another while a workload sends: the new one carries before the old one leaves",
  async (t) => {
    const { h, inside } = await bondHost(t, { mode: "active-backup" }, { intent: bondText(["nic0"]) });
    const stream = new Stream(t, inside, await farEnds(t, h));
    await stream.over();
    const lost = await stream.over(async () => {
      await change(h, bondText(["nic1"]));
      await until(async () => (await membersOf(h)).join() === "nic1");
    });
    t.log(`${lost * 10} ms of frames lost`);
    t.true((await h.host.namespace.link({ name: "nic0" }))?.up);

    // And back, but nothing is at the other end of the new one: the old one stays until there is.
    await wireIp(h, "link", "set", "nic0", "down");
    const kept = await stream.over(async () => {
      await change(h, bondText(["nic0"]));
      await until(async () => (await h.status()).conditions.some(({ code }) => code === "ROLLED_BACK"));
    });
    const { conditions } = await h.status();
    t.regex(conditions[0]?.message ?? "", /nic1 stays in oob-bo: no other member carries traffic/);
    t.deepEqual(await memberStates(h), ["nic1 active"]);
    t.is(kept, 0);
    await wireIp(h, "link", "set", "nic0", "up");
    await change(h, bondText(["nic0"], { miimon: 50 }));
    await until(async () => (await membersOf(h)).join() === "nic0");
    await stream.over();
  },
);

test.serial(
  "MTU up and down under traffic: NICs, bond, bridge and the uplink's port follow, and frames keep coming",
  async (t) => {
    const { h, inside } = await bondHost(t, { mode: "active-backup" });
    const stream = new Stream(t, inside, await farEnds(t, h));
    await stream.over();
    const mtus = async (): Promise<readonly number[]> => {
      const links = await h.host.namespace.links();
      const port = (await h.ports()).find(({ role }) => role === "uplink");
      const names = [...NICS, "oob-bo", "oob-br"];
      return [...names.map((name) => links.find((link) => link.name === name)?.mtu ?? 0), port?.mtu ?? 0];
    };
    for (const mtu of [9000, 1500, 4000, 1400]) {
      const lost = await stream.over(async () => {
        await change(h, bondText(NICS, { mode: "active-backup" }, { mtu }));
        await until(async () => (await mtus()).every((found) => found === mtu));
      });
      t.log(`MTU ${mtu}: ${lost * 10} ms of frames lost`);
      t.true(lost < SECOND, `${lost} frames`);
    }
  },
);
