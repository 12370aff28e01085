/** Ports and attachments as people read them. */
import test from "ava";
import { attachmentView, type PortView } from "../../daemon/api/views.ts";
import { attachmentTable } from "../../daemon/client/attachment-views.ts";
import { attachment, attachRequest } from "./api-samples.ts";

const made = attachment(attachRequest);
const port: PortView = {
  ...{ device: "pwveth1", ifindex: 7, role: "workload", clusterNetwork: "oob", network: "vlan100" },
  ...{ attachment: made.id, pvid: 100, allowed: "100", untagged: "100", mtu: 1500 },
  ...{ up: true, carrier: true, attached: true, counters: null },
};

test("the state of a port says why no frames pass", (t) => {
  const state = (of: Partial<PortView>, wanted: Partial<typeof made>) => {
    const [head = "", row = ""] = attachmentTable([{ ...port, ...of }], [attachmentView({ ...made, ...wanted })]);
    return row.slice(head.indexOf("state"), head.indexOf("received")).trim();
  };
  t.is(state({}, {}), "up");
  t.is(state({ up: false }, {}), "down");
  t.is(state({ carrier: false }, {}), "no carrier");
  t.is(state({ carrier: false }, { containerDown: true }), "left down");
  t.is(state({}, { containerDown: true }), "up", "the workload has set it up since");
  t.is(state({ attached: false }, { containerDown: true }), "no program");
  t.is(state({}, { gated: true }), "gated");
  t.is(state({}, { state: "pending" }), "pending");
});
