// Several cluster networks on one host: the same VLAN and the same MAC in both, and nothing crosses.
import test from "ava";
import { BROADCAST, frame, station, text } from "../peers/frames.ts";
import { until } from "../support/until.ts";
import { CLUSTER_NETWORK, tap, type Tap, TestHost, UPLINK } from "../support/test-host.ts";

const INTENT = [CLUSTER_NETWORK("red"), UPLINK("red", "nic0"), CLUSTER_NETWORK("blue"), UPLINK("blue", "nic1")].join(
  "---",
);

function count(at: Tap, payload: string): number {
  return at.frames.filter(({ data }) => Buffer.from(data).includes(payload)).length;
}

test("two switches with the same VLAN and the same MAC never mix", async (t) => {
  const h = await TestHost.start(t, { intent: INTENT, nics: [{ name: "nic0" }, { name: "nic1" }] });
  const mac = "02:aa:00:00:00:01";
  const red = await h.add("red", { bridge: "red-br", vlan: 100, runtimeConfig: { mac } });
  const blue = await h.add("blue", { bridge: "blue-br", vlan: 100, runtimeConfig: { mac } });
  const [inRed, inBlue] = [await tap(t, red.host, "eth0"), await tap(t, blue.host, "eth0")];
  const [redWire, blueWire] = [await tap(t, h.wire, "nic0"), await tap(t, h.wire, "nic1")];
  const tags = [{ vid: 100 }];

  await inRed.send(frame({ dst: BROADCAST, src: mac, payload: text("from red") }));
  await inBlue.send(frame({ dst: BROADCAST, src: mac, payload: text("from blue") }));
  await until(() => count(redWire, "from red") > 0 && count(blueWire, "from blue") > 0);

  // Known unicast to the one MAC that both have.
  await redWire.send(frame({ dst: mac, src: station(1), tags, payload: text("to red") }));
  await blueWire.send(frame({ dst: mac, src: station(1), tags, payload: text("to blue") }));
  await until(() => count(inRed, "to red") > 0 && count(inBlue, "to blue") > 0);

  // Flooded, and last: what went astray before would have come by now.
  await redWire.send(frame({ dst: BROADCAST, src: station(2), tags, payload: text("all red") }));
  await blueWire.send(frame({ dst: BROADCAST, src: station(2), tags, payload: text("all blue") }));
  await until(() => count(inRed, "all red") > 0 && count(inBlue, "all blue") > 0);

  t.deepEqual([count(inRed, "to blue"), count(inRed, "all blue"), count(inRed, "from blue")], [0, 0, 0]);
  t.deepEqual([count(inBlue, "to red"), count(inBlue, "all red"), count(inBlue, "from red")], [0, 0, 0]);
  t.deepEqual([count(redWire, "from blue"), count(blueWire, "from red")], [0, 0]);
});
