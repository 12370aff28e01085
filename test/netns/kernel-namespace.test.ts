import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import test from "ava";
import { isKernelError, KernelError } from "../../daemon/kernel/kernel-error.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { ip, makeLab } from "./kernel-lab.ts";

const kernel = nativeKernel();

function scratch(): string {
  return mkdtempSync(join(tmpdir(), `pwkt-${process.pid}-`));
}

test("a path that is a file is EINVAL, a missing one ENOENT, another kind of namespace EINVAL", (t) => {
  const directory = scratch();
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "file");
  writeFileSync(file, "");
  const notOne = t.throws(() => kernel.openNetns(file), { instanceOf: KernelError });
  t.is(notOne?.code, "EINVAL");
  t.is(notOne?.object, file);
  t.is(notOne?.kernelText, "not a network namespace");
  t.is(t.throws(() => kernel.openNetns(join(directory, "none")), { instanceOf: KernelError })?.code, "ENOENT");
  t.is(t.throws(() => kernel.openNetns("/proc/self/ns/uts"), { instanceOf: KernelError })?.code, "EINVAL");
  t.is(t.throws(() => kernel.openNetns(directory), { instanceOf: KernelError })?.code, "EINVAL");
});

test("a FIFO in place of a namespace does not block", async (t) => {
  const directory = scratch();
  t.teardown(() => rmSync(directory, { recursive: true }));
  await promisify(execFile)("mkfifo", [join(directory, "fifo")]);
  t.throws(() => kernel.openNetns(join(directory, "fifo")), { instanceOf: KernelError });
});

test("a handle knows its inode and whether it is the process's own namespace", async (t) => {
  const own = kernel.ownNetns();
  t.true(own.isOwn);
  t.is(readlinkSync("/proc/self/ns/net"), `net:[${own.inode}]`);
  own.close();
  const lab = await makeLab(t);
  t.false(lab.handle.isOwn);
  t.is(lab.handle.inode, BigInt(statSync(lab.path).ino));
  t.true(Object.isFrozen(lab.handle));
});

test("a handle is one descriptor; after close() it cannot be entered", async (t) => {
  const lab = await makeLab(t);
  const handle = kernel.openNetns(lab.path);
  handle.close();
  handle.close();
  const error = await t.throwsAsync(kernel.enter(handle), { instanceOf: KernelError });
  t.is(error?.code, "EBADF");
  await t.throwsAsync(kernel.enter({ ...lab.handle }), { instanceOf: TypeError });
});

test("the namespace outlives its handle and its name", async (t) => {
  const lab = await makeLab(t);
  lab.handle.close();
  await kernel.removeNetns(lab.path);
  t.deepEqual(
    (await lab.ns.links()).map((link) => link.name),
    ["lo"],
  );
});

test("a new namespace has lo up; its path cannot be taken twice; removing it twice is fine", async (t) => {
  const lab = await makeLab(t);
  t.true((await lab.ns.link({ name: "lo" }))?.up);
  t.deepEqual((await ip(lab, "addr", "show", "dev", "lo"))[0].addr_info[0].local, "127.0.0.1");
  const error = await t.throwsAsync(kernel.createNetns(lab.path), { instanceOf: KernelError });
  t.is(error?.code, "EEXIST");
  kernel.openNetns(lab.path).close();
  await kernel.removeNetns(lab.path);
  t.is(t.throws(() => kernel.openNetns(lab.path), { instanceOf: KernelError })?.code, "ENOENT");
  await kernel.removeNetns(lab.path);
});

test("removeNetns leaves alone what is not a namespace", async (t) => {
  const directory = scratch();
  t.teardown(() => rmSync(directory, { recursive: true }));
  const file = join(directory, "file");
  writeFileSync(file, "content");
  t.is((await t.throwsAsync(kernel.removeNetns(file), { instanceOf: KernelError }))?.code, "EINVAL");
  t.is((await t.throwsAsync(kernel.removeNetns(directory), { instanceOf: KernelError }))?.code, "EINVAL");
  t.is(readFileSync(file, "utf8"), "content");
});

test("a namespace that could not be bound leaves no file", async (t) => {
  const error = await t.throwsAsync(kernel.createNetns("/proc/pwkt-nowhere"), { instanceOf: KernelError });
  t.truthy(error?.code);
});

test.serial("two namespaces never mix, and no thread of the process's own changes namespace", async (t) => {
  const labs = [await makeLab(t), await makeLab(t)] as const;
  const main = readlinkSync("/proc/self/ns/net");
  const jobs: Promise<unknown>[] = [];
  for (let i = 0; i < 50; i++) {
    labs.forEach((lab, side) => {
      jobs.push(lab.ns.createLink({ name: `v${i}`, kind: "veth", alias: `side ${side}`, peer: { name: `p${i}` } }));
    });
  }
  await Promise.all(jobs);
  for (const [side, lab] of labs.entries()) {
    const links = await lab.ns.links();
    t.is(links.length, 101);
    t.true(links.every((link) => link.alias === "" || link.alias === `side ${side}`));
    t.is(links.filter((link) => link.alias !== "").length, 50);
  }
  const threads = readdirSync("/proc/self/task").map((tid) => ({
    name: readFileSync(`/proc/self/task/${tid}/comm`, "utf8").trim(),
    ns: readlinkSync(`/proc/self/task/${tid}/ns/net`),
  }));
  t.true(threads.filter((thread) => !thread.name.startsWith("pw-")).every((thread) => thread.ns === main));
  t.true(threads.filter((thread) => thread.name.startsWith("pw-")).every((thread) => thread.ns !== main));
});

test("sysctls are the namespace's own, and only those below net/", async (t) => {
  const [a, b] = [await makeLab(t), await makeLab(t)];
  const before = readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8");
  const old = await b.ns.readSysctl("net/ipv4/ip_forward");
  await a.ns.writeSysctl("net/ipv4/ip_forward", old === "1" ? "0" : "1");
  t.is(await a.ns.readSysctl("net/ipv4/ip_forward"), old === "1" ? "0" : "1");
  t.is(await b.ns.readSysctl("net/ipv4/ip_forward"), old);
  t.is(readFileSync("/proc/sys/net/ipv4/ip_forward", "utf8"), before);
  for (const path of ["kernel/hostname", "net/../kernel/hostname", "net/", "net//ipv4", "/net/ipv4", "net/./x", ""]) {
    const error = await t.throwsAsync(a.ns.readSysctl(path), { instanceOf: KernelError }, path);
    t.is(error?.code, "EINVAL", path);
  }
  t.is((await t.throwsAsync(a.ns.readSysctl("net/none"), { instanceOf: KernelError }))?.code, "ENOENT");
  const refused = await t.throwsAsync(a.ns.writeSysctl("net/ipv4/ip_forward", "x"), { instanceOf: KernelError });
  t.is(refused?.code, "EINVAL");
  t.is(refused?.object, "net/ipv4/ip_forward");
});

test("closing does the work that is queued, refuses later work with ESHUTDOWN, and may be repeated", async (t) => {
  const lab = await makeLab(t);
  const peer = await makeLab(t);
  await lab.ns.createLink({ name: "gone", kind: "veth", peer: { name: "eth0", netns: peer.handle } });
  const watch = await lab.ns.watch(() => {});
  const queued = Array.from({ length: 20 }, (_, i) => lab.ns.createLink({ name: `br${i}`, kind: "bridge" }));
  const deleted = lab.ns.deleteLink({ name: "gone" });
  const closing = lab.ns.close();
  const late = lab.ns.links();
  const [, error] = await Promise.all([Promise.all(queued), t.throwsAsync(late), closing, lab.ns.close()]);
  t.true(isKernelError(error, "ESHUTDOWN"));
  t.true(await deleted);
  t.true(isKernelError(await t.throwsAsync(lab.ns.deleteLink({ name: "br0" })), "ESHUTDOWN"));
  await watch.close();
  t.is((await ip(lab, "link")).length, 21);
  t.is((await ip(peer, "link")).length, 1);
  t.is(lab.ns.writes.netlink, 22, "what was counted stays readable");
});
