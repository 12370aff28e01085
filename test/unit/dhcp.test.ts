// DHCP without a network: what a client tells, and what the keeper of clients makes of it.
import test from "ava";
import type { ClientEvents } from "../../daemon/dhcp/client.ts";
import { DhcpClients } from "../../daemon/dhcp/dhcp-clients.ts";
import { clientConditions } from "../../daemon/dhcp/client-conditions.ts";
import { parseEvent } from "../../daemon/dhcp/event.ts";
import type { Lease } from "../../daemon/model/lease.ts";
import type { Intent } from "../../daemon/model/resources.ts";
import { until } from "../support/until.ts";

const BOUND = "bound\tinterface=oob-br.100\tip=10.0.0.5\tmask=24\tserverid=10.0.0.1\tlease=600";

test("a lease is read; what no interface can have, and what is not understood, is nothing", (t) => {
  const bound = { kind: "lease", address: "10.0.0.5", prefixLength: 24, server: "10.0.0.1", seconds: 600 };
  t.deepEqual(parseEvent(BOUND), bound as ReturnType<typeof parseEvent>);
  t.like(parseEvent(BOUND.replace("\tmask=24", "")), { prefixLength: 32 });
  t.like(parseEvent(BOUND.replace("serverid=10.0.0.1", "serverid=??")), { server: "" });
  const bad = ["ip=10.0.0.0", "ip=10.0.0.255", "ip=127.0.0.1", "ip=224.0.0.5", "ip=0.0.0.5", "ip=x", "ip=::1", "ip="];
  for (const ip of bad) t.is(parseEvent(BOUND.replace("ip=10.0.0.5", ip)), null, ip);
  for (const mask of ["mask=0", "mask=33", "mask=", "mask=x"])
    t.is(parseEvent(BOUND.replace("mask=24", mask)), null, mask);
  for (const seconds of ["lease=0", "lease=-1", "lease=x"]) {
    t.is(parseEvent(BOUND.replace("lease=600", seconds)), null, seconds);
  }
  t.deepEqual(parseEvent("deconfig\tinterface=x"), { kind: "unconfigured" });
  t.deepEqual(parseEvent("nak"), { kind: "refused" });
  t.is(parseEvent("something"), null);
  t.is(parseEvent(""), null);
});

const DEVICE = "oob-br.100";
const LINK = new Map([[DEVICE, { ifindex: 7, mac: "02:00:00:00:00:01" }]]);

function bed(kept: readonly Lease[] = [], at = 1_000_000_000_000) {
  const started: { request: string; events: ClientEvents; stopped: boolean }[] = [];
  const files = new Map(kept.map((lease) => [lease.device, lease]));
  const self = { now: at, changes: 0, started, files };
  const log = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {}, fatal: () => {} };
  const clients = new DhcpClients({
    files: {
      load: () => [...files.values()],
      save: (lease) => void files.set(lease.device, lease),
      remove: (device) => void files.delete(device),
    },
    start: (_device, request, events) => {
      const client = { request, events, stopped: false };
      started.push(client);
      return { stop: async () => void (client.stopped = true) };
    },
    log: log as never,
    onChange: () => self.changes++,
    now: () => self.now,
  });
  const say = (line: string): void => started.at(-1)?.events.onLine(line);
  return Object.assign(self, { clients, say });
}

const lease = (expires: number): Lease => ({
  ...{ device: DEVICE, address: "10.0.0.9", prefixLength: 24, server: "10.0.0.1" },
  ...{ obtainedAt: new Date(expires - 600_000).toISOString(), expiresAt: new Date(expires).toISOString() },
});

test("a lease is kept, told once, and is lost when the client says so; a renewal is no change", async (t) => {
  const b = bed();
  b.clients.want(LINK);
  b.say("deconfig");
  t.is(b.changes, 0);
  b.say(BOUND);
  t.is(b.changes, 1);
  t.like(b.clients.leases.get(DEVICE), { address: "10.0.0.5", server: "10.0.0.1" });
  b.now += 300_000;
  b.say(BOUND.replace("bound", "renew"));
  t.is(b.changes, 1);
  t.is(b.files.get(DEVICE)?.expiresAt, new Date(b.now + 600_000).toISOString());
  b.say("deconfig");
  t.is(b.changes, 2);
  t.is(b.clients.leases.size, 0);
  t.is(b.files.size, 0);
  await b.clients.close();
});

test("a kept lease is in force at once, is asked for again, and outlives what a client says at its start", async (t) => {
  const b = bed([lease(1_000_000_500_000)]);
  t.is(b.clients.leases.get(DEVICE)?.address, "10.0.0.9");
  b.clients.want(LINK);
  t.is(b.started[0]?.request, "10.0.0.9");
  b.say("deconfig");
  t.is(b.clients.leases.size, 1);
  await b.clients.close();
  t.true(b.started[0]?.stopped);
  t.is(b.files.size, 1, "the lease stays when the daemon ends");
});

test("a kept lease that has expired is nothing", async (t) => {
  const b = bed([lease(999_999_999_999)]);
  t.is(b.clients.leases.size, 0);
  t.is(b.files.size, 0);
  await b.clients.close();
});

test("a lease runs out by the clock where no client says so", async (t) => {
  const b = bed([lease(1_000_000_000_020)]);
  b.now += 30;
  await until(() => b.changes === 1);
  t.is(b.files.size, 0);
  await b.clients.close();
});

test("a link made anew gets a new client, one that is away none; what is not wanted loses its lease", async (t) => {
  const b = bed();
  b.clients.want(LINK);
  b.clients.want(LINK);
  t.is(b.started.length, 1);
  b.say("deconfig");
  b.say(BOUND);
  b.clients.want(new Map([[DEVICE, null]]));
  t.true(b.started[0]?.stopped);
  t.is(b.clients.leases.size, 1, "it is kept for the link that comes again");
  b.clients.want(new Map([[DEVICE, { ifindex: 8, mac: "02:00:00:00:00:01" }]]));
  t.is(b.started.length, 2);
  t.is(b.started[1]?.request, "10.0.0.5");
  b.started[0]?.events.onLine("deconfig"); // of a client that is gone
  t.is(b.clients.leases.size, 1);
  b.clients.want(new Map());
  t.is(b.clients.leases.size, 0);
  t.is(b.files.size, 0);
  await b.clients.close();
});

test("a client that ends is started again, later each time", async (t) => {
  const b = bed();
  b.clients.want(LINK);
  b.started[0]?.events.onEnd("exit code 1");
  t.is(b.started.length, 1, "not at once");
  await until(() => b.started.length === 2);
  b.clients.want(new Map());
  await b.clients.close();
});

test("a client that does not run is told until one begins, unless there is a lease all the same", async (t) => {
  const b = bed();
  b.clients.want(LINK);
  b.started[0]?.events.onLog("udhcpc: socket: Address family not supported by protocol");
  b.started[0]?.events.onEnd("exit code 1");
  const text = "udhcpc: socket: Address family not supported by protocol";
  t.deepEqual([...b.clients.faults], [[DEVICE, text]]);
  t.is(b.changes, 1);
  await until(() => b.started.length === 2);
  t.is(b.clients.faults.size, 1);
  b.started[1]?.events.onLog(text);
  b.started[1]?.events.onEnd("exit code 1");
  t.is(b.changes, 1, "nothing new");
  await until(() => b.started.length === 3);
  b.say("deconfig");
  t.is(b.clients.faults.size, 0);
  t.is(b.changes, 2);
  b.say(BOUND);
  b.started[2]?.events.onEnd("signal SIGKILL");
  t.is(b.clients.faults.size, 0, "the lease is in force");
  await b.clients.close();
});

test("what is said of such a client names the drop-in where the daemon has not the rights that it gives", (t) => {
  const config = { name: "storage", clusterNetwork: "oob", vlan: 100, dhcp: true };
  const intent = { hostNetworkConfigs: new Map([["storage", config]]) } as unknown as Intent;
  const said = (status: string) => clientConditions(intent, new Map([[DEVICE, "exit code 1"]]), () => status);
  const [full] = said("CapInh:\t0000000000000000\nCapEff:\t000001ffffffffff\n");
  t.deepEqual(full, {
    code: "DHCP_CLIENT_FAILED",
    object: "HostNetworkConfig/storage",
    message: "the DHCP client of oob-br.100 does not run: exit code 1",
  });
  // CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN: what the unit has
  t.regex(said("CapEff:\t0000000000203000\n")[0]?.message ?? "", /needs the drop-in \/usr\/lib\/.*dhcp\.conf$/);
  t.deepEqual(said("CapEff:\t0000000000203400\n"), said("CapEff:\t000001ffffffffff\n"));
  const fixed = { hostNetworkConfigs: new Map([["storage", { ...config, dhcp: false }]]) } as unknown as Intent;
  t.deepEqual(
    clientConditions(fixed, new Map([[DEVICE, "x"]]), () => ""),
    [],
  );
});
