// Devices over the attach API, in JSON and protobuf: what is asked for arrives, and what was made is told.
import test from "ava";
import type { AttachRequest } from "../../daemon/api/backend.ts";
import { parseAttachRequest } from "../../daemon/attach/attach-request.ts";
import { portwright } from "../../daemon/api/generated/portwright.pb.js";
import { decodeAttachRequest, encodeAttachment } from "../../daemon/api/protobuf.ts";
import { attachmentView } from "../../daemon/api/views.ts";
import type { PortDevice } from "../../daemon/model/attachment.ts";
import { attachment, network } from "../peers/model-fixtures.ts";
import { startTestApi } from "./api-fake.ts";
import { attachRequest } from "./api-samples.ts";

const v1 = portwright.v1;
const intent = { networks: new Map([["vlan100", network("vlan100", "oob", 100)]]) };
const PROTOBUF = "application/x-protobuf";
const HOST = { network: "vlan100", containerId: "vm1", mac: "", addresses: [], state: "ready" } as const;
const WITHOUT = { queues: 1, owner: null, group: null };

const CASES: readonly (readonly [Partial<AttachRequest>, PortDevice, string])[] = [
  [{ netns: "/run/netns/a", interface: "eth0" }, { kind: "veth" }, "eth0"],
  [{ device: { kind: "tap", name: "vm1" } }, { kind: "tap", name: "vm1", tap: WITHOUT }, "vm1"],
  [
    { interface: "net0", device: { kind: "tap", queues: 4, owner: 0, group: 36 } },
    { kind: "tap", name: "", tap: { queues: 4, owner: 0, group: 36 } },
    "net0",
  ],
  [
    { netns: "/run/netns/a", interface: "eth0", device: { kind: "inner-tap", owner: 107 } },
    { kind: "inner-tap", tap: { queues: 1, owner: 107, group: null } },
    "eth0",
  ],
  [{ device: { kind: "existing", name: "tap7" } }, { kind: "existing", name: "tap7" }, "tap7"],
];

test("what is asked for arrives the same in both forms; owner 0 is root and not nobody", async (t) => {
  for (const [asked, device, name] of CASES) {
    const request = { ...HOST, ...asked };
    const bytes = v1.AttachRequest.encode(v1.AttachRequest.fromObject(request)).finish();
    for (const form of [request, decodeAttachRequest(bytes) as AttachRequest]) {
      const parsed = parseAttachRequest(form, intent);
      t.deepEqual(parsed.port.device, device);
      t.is(parsed.interface, name);
    }
    // as the schema sees it
    const { cni, close } = await startTestApi();
    const answer = await cni("POST", "/v1/attachments", {
      body: Buffer.from(bytes),
      headers: { "content-type": PROTOBUF },
    });
    t.is(answer.status, 201, JSON.stringify(asked));
    await close();
  }
});

for (const [what, wrong] of [
  ["a veth without a namespace", {}],
  ["a tap on the host, in a namespace", { netns: "/run/netns/a", device: { kind: "tap", name: "vm1" } }],
  ["a tap in a namespace, without one", { interface: "eth0", device: { kind: "inner-tap" } }],
  ["no name at all", { device: { kind: "tap" } }],
  ["an existing device without a name", { interface: "net0", device: { kind: "existing" } }],
  ["addresses for a VM", { addresses: ["10.0.0.1/24"], device: { kind: "tap", name: "vm1" } }],
  ["queues of an existing device", { device: { kind: "existing", name: "tap7", queues: 2 } }],
] as const) {
  test(`refused: ${what}`, (t) => {
    t.throws(() => parseAttachRequest({ ...HOST, ...(wrong as Partial<AttachRequest>) }, intent), {
      code: "REQUEST_INVALID",
    });
  });
}

test("the schema names what it does not take", async (t) => {
  const { cni, close } = await startTestApi();
  t.teardown(close);
  for (const device of [{}, { kind: "macvtap" }, { kind: "tap", colour: "red" }, { kind: "tap", queues: 257 }, "tap"]) {
    const answer = await cni("POST", "/v1/attachments", { body: { ...attachRequest, device } });
    t.is(answer.status, 400, JSON.stringify(device));
    t.regex(answer.json.error.message, /device/);
  }
});

test("what was made is told with its device; a port without a namespace has none", (t) => {
  const tap = { queues: 2, owner: 107, group: null };
  const made = (device: PortDevice, netnsPath: string) =>
    attachmentView(
      attachment(
        "vm1/net0",
        "oob",
        { mode: "access", vlan: 100 },
        {
          ...{ device, netnsPath, hostInterface: "vm1-tap" },
          netns: netnsPath === "" ? { device: "", inode: "" } : { device: "4", inode: "7" },
        },
      ),
    );
  const onHost = made({ kind: "tap", name: "", tap }, "");
  t.deepEqual(onHost.device, { kind: "tap", queues: 2, owner: 107, name: "vm1-tap" });
  t.false("netns" in onHost);
  const message = v1.Attachment.decode(encodeAttachment(onHost));
  t.like(message.device, { kind: "tap", queues: 2, owner: 107, name: "vm1-tap" });
  t.is(message.netns, null);
  const inside = made({ kind: "inner-tap", tap }, "/run/netns/a");
  t.deepEqual(inside.device, { kind: "inner-tap", queues: 2, owner: 107 });
  t.is(v1.Attachment.decode(encodeAttachment(inside)).netns?.inode?.toString(), "7");
});
