/** Records on disk: whole or not there, set aside when damaged, unreadable for others. */
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import fc from "fast-check";
import { BlockFiles } from "../../daemon/state/block-files.ts";
import {
  type AttachmentRecord,
  decodeRecord,
  encodeRecord,
  recordFileName,
  Records,
} from "../../daemon/attach/records.ts";
import { NO_FEATURES } from "../../daemon/model/attachment.ts";
import { PortwrightError } from "../../daemon/errors.ts";
import { VlanSet } from "../../daemon/model/vlan-set.ts";
import { until } from "../support/until.ts";

function directory(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), `pw-records-${process.pid}-`));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return join(path, "attachments");
}

const log = { warn: () => {} };

function record(
  id: string,
  vlans: AttachmentRecord["attachment"]["vlans"] = { mode: "access", vlan: 100 },
): AttachmentRecord {
  return {
    attachment: {
      id,
      containerId: "c",
      interface: "eth0",
      netnsPath: "/ns",
      netns: { device: "4", inode: "4026532000" },
      clusterNetwork: "oob",
      network: "n",
      vlans,
      ...NO_FEATURES,
      mac: "02:00:00:00:00:01",
      mtu: 1500,
      mtuAsked: 0,
      hostInterface: "pw1",
      hostIfindex: 7,
      ips: [{ address: "10.0.0.2", prefixLength: 24 }],
      routes: [],
      state: "pending",
      origin: { kind: "cni", cniVersion: "1.0.0", networkName: "n", ipamType: "static" },
      createdAt: "2026-01-01T00:00:00.000Z",
    },
    containerIfindex: 8,
    epoch: "e",
    cni: { env: { CNI_PATH: "/x" }, stdin: '{"odd":"\\u0000\\n"}' },
  };
}

test("what is written is read back, VLANs of every kind included", (t) => {
  for (const vlans of [
    { mode: "access", vlan: 4094 },
    { mode: "untagged" },
    { mode: "trunk", tagged: VlanSet.of(1, 2, 3, 4000), native: 0 },
  ] as const) {
    const text = encodeRecord(record("c/eth0", vlans));
    const back = decodeRecord(text);
    t.is(encodeRecord(back), text);
    t.deepEqual(JSON.stringify(back), JSON.stringify(record("c/eth0", vlans)));
  }
});

test("a record that was changed or cut anywhere is refused, never half-believed", (t) => {
  const text = encodeRecord(record("c/eth0"));
  fc.assert(
    fc.property(fc.nat(text.length - 2), fc.constantFrom("x", "0", "", '"', "}"), (at, byte) => {
      const damaged = text.slice(0, at) + byte + text.slice(at + 1);
      if (damaged === text) return;
      try {
        // Blanks between tokens may go unseen; the content may not.
        t.is(encodeRecord(decodeRecord(damaged)), text);
      } catch (error) {
        t.true(error instanceof PortwrightError, String(error));
      }
      t.throws(() => decodeRecord(text.slice(0, at)));
    }),
    { numRuns: 300 },
  );
});

test("damaged files are set aside and the others are read", async (t) => {
  const path = directory(t);
  const first = new Records(new BlockFiles(path), log);
  first.putReady(record("c/eth0"));
  first.putPending(record("c/eth1"));
  first.putReady(record("c/eth2"));
  const bad = recordFileName("c/eth2");
  writeFileSync(join(path, bad), "");
  writeFileSync(join(path, "0000.json"), readFileSync(join(path, recordFileName("c/eth0"))));
  writeFileSync(join(path, "left.json.3.tmp"), "half");
  const second = new Records(new BlockFiles(path), log);
  t.deepEqual(
    second
      .all()
      .map((r) => `${r.attachment.id} ${r.attachment.state}`)
      .sort(),
    ["c/eth0 ready", "c/eth1 pending"],
  );
  t.deepEqual([...second.corrupt].sort(), ["0000.json", bad].sort());
  t.deepEqual(
    readdirSync(path)
      .filter((name) => !name.endsWith(".json"))
      .sort(),
    ["0000.json.corrupt", `${bad}.corrupt`].sort(),
  );
});

test("what is removed is gone, twice is fine, and the next start finds nothing of it", async (t) => {
  const path = directory(t);
  const records = new Records(new BlockFiles(path), log);
  records.putReady(record("c/eth0"));
  records.remove("c/eth0");
  records.remove("c/eth0");
  t.is(records.get("c/eth0"), undefined);
  t.deepEqual(new Records(new BlockFiles(path), log).all(), []);
  t.deepEqual(readdirSync(path), []);
});

test("identifiers of any length and form become safe file names", (t) => {
  for (const id of ["a/../../etc", "x".repeat(5000), "ä/😀"]) t.regex(recordFileName(id), /^[0-9a-f]{40}\.json$/);
});

test("files are for their owner alone; a directory that others can write to is refused", async (t) => {
  const path = directory(t);
  const records = new Records(new BlockFiles(path), log);
  records.putReady(record("c/eth0"));
  t.is(statSync(path).mode & 0o777, 0o700);
  t.is(statSync(join(path, recordFileName("c/eth0"))).mode & 0o777, 0o600);
  chmodSync(path, 0o777);
  t.throws(() => new BlockFiles(path), { code: "DIRECTORY_UNSAFE" } as never);
  const link = `${path}-link`;
  mkdirSync(`${path}-real`, { mode: 0o700 });
  symlinkSync(`${path}-real`, link);
  t.throws(() => new BlockFiles(link), { code: "DIRECTORY_UNSAFE" } as never);
});

test("a disk that refuses is a clear error for what is made, and none for what is removed", async (t) => {
  const path = directory(t);
  const records = new Records(new BlockFiles(path), log);
  records.putReady(record("c/eth0"));
  const current = records.get("c/eth0") as AttachmentRecord;
  rmSync(path, { recursive: true });
  t.throws(() => records.putPending(record("c/eth1")), { code: "STATE_IO" } as never);
  t.throws(() => records.putReady(record("c/eth1")), { code: "STATE_IO" } as never);
  t.is(records.get("c/eth1"), undefined);
  records.markPending(current);
  t.is(records.get("c/eth0")?.attachment.state, "pending");
  records.remove("c/eth0");
  t.is(records.get("c/eth0"), undefined);
});

test("a record counts at once; those with addresses are flushed soon, together, and others never", async (t) => {
  const flushed: string[][] = [];
  class Files extends BlockFiles {
    override async flush(...names: readonly string[]): Promise<void> {
      await super.flush(...names);
      flushed.push([...names]);
    }
  }
  const path = directory(t);
  const records = new Records(new Files(path), log);
  const { attachment, ...rest } = record("c/eth1");
  const ips = [{ address: "10.0.0.2", prefixLength: 24 }];
  records.putReady({ ...rest, attachment: { ...attachment, id: "c/eth0", ips: [] } });
  records.putReady({ ...rest, attachment: { ...attachment, ips } });
  records.putReady({ ...rest, attachment: { ...attachment, id: "c/eth2", ips } });
  t.is(decodeRecord(readFileSync(join(path, recordFileName("c/eth1")), "utf8")).attachment.state, "ready");
  t.deepEqual(flushed, []);
  await until(() => flushed.length === 1);
  t.deepEqual(flushed, [[recordFileName("c/eth1"), recordFileName("c/eth2")]]);
  records.remove("c/eth1");
  await new Files(path).flush(recordFileName("c/eth1"));
});

test("a record from before MTUs were followed keeps the MTU of its attach", (t) => {
  const { mtuAsked: _, ...attachment } = record("c/eth0").attachment;
  const old = { ...record("c/eth0"), attachment: { ...attachment, mtu: 1400 } } as AttachmentRecord;
  t.is(decodeRecord(encodeRecord(old)).attachment.mtuAsked, 1400);
  t.is(decodeRecord(encodeRecord(record("c/eth0"))).attachment.mtuAsked, 0);
});

test("the MTU of an attachment is noted while it is ready, and of no other", async (t) => {
  const path = directory(t);
  const records = new Records(new BlockFiles(path), log);
  records.putPending(record("c/eth0"));
  records.putMtu("c/eth0", 9000);
  t.is(records.get("c/eth0")?.attachment.mtu, 1500);
  records.putReady(record("c/eth0"));
  records.putMtu("c/eth0", 9000);
  records.putMtu("other/eth0", 9000);
  t.is(new Records(new BlockFiles(path), log).get("c/eth0")?.attachment.mtu, 9000);
  t.is(records.all().length, 1);
});

test("the index of a port that came again is noted; a full disk is no fault of the port", async (t) => {
  const path = directory(t);
  const files = new BlockFiles(path);
  const records = new Records(files, log);
  records.putReady(record("c/eth0"));
  records.putIndex("c/eth0", 41);
  t.is(new Records(new BlockFiles(path), log).get("c/eth0")?.attachment.hostIfindex, 41);
  let writes = 0;
  files.write = () => {
    writes++;
    throw new Error("ENOSPC");
  };
  records.putIndex("c/eth0", 41);
  t.is(writes, 0, "it is known");
  t.notThrows(() => records.putIndex("c/eth0", 42));
  t.is(writes, 1);
});
