/** Which routes each of the four servers has, and that what they say is what the daemon said. */
import test from "ava";
import { rootPeer, startTestApi } from "./api-fake.ts";
import { attachRequest, HUGE, status } from "./api-samples.ts";

test("the attach socket makes, lists, shows and removes attachments", async (t) => {
  const { cni, backend, close } = await startTestApi();
  t.teardown(close);
  const made = await cni("POST", "/v1/attachments", { body: attachRequest });
  t.is(made.status, 201);
  t.is(made.headers.location, "/v1/attachments/c1%2Feth0");
  t.is(made.json.id, "c1/eth0");
  t.deepEqual(made.json.vlans, { mode: "trunk", tagged: "100,200-210", native: 1 });
  t.deepEqual(made.json.ips, [{ address: "10.0.0.2", prefixLength: 24 }]);

  t.deepEqual((await cni("GET", "/v1/attachments")).json, { attachments: [made.json] });
  t.deepEqual((await cni("GET", "/v1/attachments/c1%2Feth0")).json, made.json);
  const gone = await cni("DELETE", "/v1/attachments/c1%2Feth0");
  t.is(gone.status, 204);
  t.is(gone.text, "");
  t.is(backend.store.size, 0);
});

test("garbage is collected on the attach socket, and what failed is named", async (t) => {
  const { cni, close } = await startTestApi();
  t.teardown(close);
  const answer = await cni("POST", "/v1/attachments/gc");
  t.is(answer.status, 200);
  t.deepEqual(answer.json, { removed: ["gone/eth0"], failed: [{ id: "stuck/eth0", message: "busy" }] });
});

test("mac and addresses of an attach request may be left out", async (t) => {
  const { cni, close } = await startTestApi();
  t.teardown(close);
  const { mac: _, addresses: __, ...least } = attachRequest;
  const made = await cni("POST", "/v1/attachments", { body: least });
  t.is(made.status, 201);
  t.is(made.json.mac, "02:00:00:00:00:01");
});

test("a CNI call reaches the daemon as it was sent, and its reply comes back as it is", async (t) => {
  const { cni, backend, close } = await startTestApi();
  t.teardown(close);
  const call = { env: { CNI_COMMAND: "ADD", CNI_CONTAINERID: "c1" }, stdin: '{"name":"n", "ü":1}' };
  const answer = await cni("POST", "/cni", { body: call });
  t.is(answer.status, 200);
  t.deepEqual(answer.json, { exitCode: 0, stdout: '{"cniVersion":"1.1.0"}', stderr: "" });
  t.deepEqual(backend.cniCalls, [call]);
});

test("reading loses nothing of the status", async (t) => {
  const { read, http, close } = await startTestApi();
  t.teardown(close);
  t.deepEqual((await read("GET", "/v1/status")).json, status);
  t.deepEqual((await http("GET", "/debug/status")).json, status);
  const { clusterNetworks, networks } = status;
  t.deepEqual((await read("GET", "/v1/networks")).json, { clusterNetworks, networks });
});

test("ports come with their counters, as whole integers however large", async (t) => {
  const { read, backend, close } = await startTestApi();
  t.teardown(close);
  const uncounted = { ...backend.portList[0]!, device: "pwveth2", ifindex: 8 };
  backend.portList.push(uncounted);
  const answer = await read("GET", "/v1/ports");
  t.true(answer.text.includes(`"rxBytes":${HUGE},`));
  const [first, second] = answer.json.ports;
  t.deepEqual(first.counters.drops, { vlan_not_allowed: 3, mtu: 0, port_down: 0 });
  t.like(first, {
    ...backend.portList[0],
    counters: { portId: 1, floodPackets: 4, fdbMoves: 5, fdbLimitHits: 6, learned: 1 },
  });
  t.deepEqual(second, { ...uncounted, counters: null });
});

test("the address table names switches and devices", async (t) => {
  const { read, close } = await startTestApi();
  t.teardown(close);
  const entry = {
    mac: "02:00:00:00:00:01",
    clusterNetwork: "oob",
    vlan: 100,
    device: "pwveth1",
    ifindex: 7,
    static: false,
    age: 1.5,
  };
  t.deepEqual((await read("GET", "/v1/fdb")).json, { fdb: [entry] });
});

test("health answers 200 or 503 with the reasons", async (t) => {
  const { read, http, backend, close } = await startTestApi();
  t.teardown(close);
  t.deepEqual((await read("GET", "/healthz")).json, { ok: true, reasons: [] });
  backend.readiness = { ok: false, reasons: ["uplink nic0 has no carrier"] };
  const ready = await http("GET", "/readyz");
  t.is(ready.status, 503);
  t.deepEqual(ready.json, backend.readiness);
  t.is((await http("GET", "/healthz")).status, 200);
});

test("the reading socket and the HTTP listener change nothing: they have no such routes", async (t) => {
  const { read, http, close, backend } = await startTestApi();
  t.teardown(close);
  for (const call of [read, http]) {
    for (const [method, url] of [
      ["POST", "/v1/attachments"],
      ["POST", "/cni"],
      ["DELETE", "/v1/attachments/c1%2Feth0"],
    ] as const) {
      const answer = await call(method, url, method === "POST" ? { body: attachRequest } : {});
      t.is(answer.status, 404);
      t.is(answer.json.error.code, "NOT_FOUND");
    }
    const document = (await call("GET", "/openapi.json")).json;
    for (const methods of Object.values(document.paths)) t.deepEqual(Object.keys(methods as object), ["get"]);
  }
  t.is(backend.store.size, 0);
});

test("the debug pages show what the daemon knows, escaped, without anything from elsewhere", async (t) => {
  const { http, close } = await startTestApi();
  t.teardown(close);
  const page = await http("GET", "/debug/");
  t.is(page.headers["content-type"], "text/html; charset=utf-8");
  for (const word of [
    "Portwright 0.1.0",
    "&#60;host&#62;",
    "vlan100",
    "pwveth1",
    "no-arp-reply",
    "vlan_not_allowed 3",
    "eth9 is not there",
    "fdb",
  ]) {
    t.true(page.text.includes(word), word);
  }
  t.false(/<script|<link|<img|src=|https?:/.test(page.text));
  t.is((await http("GET", "/debug/maps")).json.maps[0].map, "fdb");
  t.deepEqual((await http("GET", "/debug/attachments")).json, { attachments: [] });
  const heap = (await http("GET", "/debug/heap")).json;
  t.true(heap.memory.rss > 0);
  t.true(heap.eventLoop.delayMs.max >= 0);
});

test("the admin socket passes texts and times on, and answers what the daemon says", async (t) => {
  const { admin, backend, close } = await startTestApi();
  t.teardown(close);
  const texts = [{ file: "a.yaml", text: "kind: ü" }];
  t.is((await admin("POST", "/v1/plan", { body: { texts } })).json.steps[0].text, "change port nic0");
  const answer = await admin("POST", "/v1/apply", { body: { texts, confirm: 60, verify: 5 } });
  t.deepEqual(answer.json, { ...status.transaction, steps: [] });
  t.deepEqual(backend.applied, [{ texts, confirm: 60, verify: 5 }]);
  for (const body of [{ confirm: -1 }, { confirm: 1.5 }, { texts: [] }, { texts: [{ text: "" }] }, { force: true }]) {
    t.is((await admin("POST", "/v1/apply", { body })).json.error.code, "REQUEST_INVALID", JSON.stringify(body));
  }
  t.is((await admin("POST", "/v1/rollback")).status, 200);
  t.is((await admin("POST", "/v1/confirm")).status, 200);
});

test("no other surface changes the intent, and the admin socket is root's", async (t) => {
  const { cni, read, http, close } = await startTestApi();
  t.teardown(close);
  for (const surface of [cni, read, http]) t.is((await surface("POST", "/v1/apply", { body: {} })).status, 404);
  const stranger = await startTestApi({
    kernel: { ...rootPeer, peerCredentials: () => ({ pid: 2, uid: 1000, gid: 1000 }) },
  });
  t.teardown(stranger.close);
  t.is((await stranger.admin("GET", "/v1/transaction")).json.error.code, "FORBIDDEN");
});
