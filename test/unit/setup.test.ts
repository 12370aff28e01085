// The pure parts of set-up: what it demands of the machine, which packages it would install, when it builds again.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { effectiveCapabilities, type HostFacts, hostProblems } from "../../scripts/setup/host-checks.mjs";
import { NODE_RANGE, nodeProblem } from "../../scripts/setup/node-version.mjs";
import { npmCandidates } from "../../scripts/setup/npm.mjs";
import {
  chooseClang,
  describe,
  installPlan,
  missingPackages,
  parseCandidates,
  parseInstalled,
  wantedPackages,
} from "../../scripts/setup/packages.mjs";
import { fingerprint, inputFiles, isCurrent, writeStamp } from "../../scripts/setup/stamp.mjs";

for (const version of ["20.19.0", "20.20.2", "22.12.0", "22.20.1", "23.0.0", "24.1.0", "26.0.0"])
  test(`Node ${version} will do`, (t) => t.is(nodeProblem(version), ""));
for (const version of ["8.17.0", "18.20.4", "20.18.3", "21.7.3", "22.11.0"])
  test(`Node ${version} is refused by a sentence that says which will do`, (t) => {
    t.regex(nodeProblem(version), new RegExp(`^Node ${version} is not supported: .*20\\.19 .*22\\.12 .*\\.$`));
  });
test("the range of Node is the one in package.json", (t) => {
  const manifest = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  t.is(manifest.engines.node, NODE_RANGE);
});

const ROOT_CAPABILITIES = (1n << 41n) - 1n;
const good: HostFacts = {
  platform: "linux",
  release: "6.1.0-13-amd64",
  uid: 0,
  capabilities: ROOT_CAPABILITIES,
  bpfSyscall: true,
};

test("a host with all that is needed has no problems", (t) => {
  t.deepEqual(hostProblems(good), []);
  t.deepEqual(hostProblems({ ...good, release: "5.17.0" }), []);
  t.deepEqual(hostProblems({ ...good, release: "10.0.0-rc1" }), []);
});
test("another system than Linux is the one thing told", (t) => {
  t.deepEqual(hostProblems({ ...good, platform: "darwin", uid: 501, bpfSyscall: false }), [
    "Portwright runs on Linux only; this is darwin.",
  ]);
});
for (const release of ["5.16.20-generic", "5.4.0", "4.19.0"])
  test(`kernel ${release} is too old`, (t) => {
    t.deepEqual(hostProblems({ ...good, release }), [`The kernel is ${release}; the eBPF switch needs 5.17 or newer.`]);
  });
test("a kernel without BPF is told", (t) => {
  t.regex(hostProblems({ ...good, bpfSyscall: false }).join(), /^This kernel has no BPF .*CONFIG_BPF_SYSCALL/);
});
test("another user than root is told to use sudo, and nothing about capabilities", (t) => {
  const problems = hostProblems({ ...good, uid: 65534, capabilities: 0n });
  t.is(problems.length, 1);
  t.regex(problems[0] ?? "", /user id 65534: .*sudo/);
});
test("root without capabilities, as in a container, is told which are missing", (t) => {
  const docker = 0xa80425fbn; // what Docker leaves to root: CAP_NET_RAW, but neither CAP_NET_ADMIN nor CAP_SYS_ADMIN
  t.deepEqual(hostProblems({ ...good, capabilities: docker }), [
    "Root here lacks CAP_NET_ADMIN, CAP_SYS_ADMIN: a container must be started with --privileged.",
  ]);
});
test("the three capabilities alone are enough", (t) => {
  const bits = [12n, 13n, 21n]; // CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN
  t.deepEqual(hostProblems({ ...good, capabilities: bits.reduce((sum, bit) => sum | (1n << bit), 0n) }), []);
});
test("effective capabilities are read from /proc/self/status", (t) => {
  t.is(effectiveCapabilities("CapPrm:\t0\nCapEff:\t00000000a80425fb\nCapBnd:\t1\n"), 0xa80425fbn);
  t.is(effectiveCapabilities("Name:\tnode\n"), 0n);
});

const names = (groups: ReturnType<typeof wantedPackages>) => groups.flatMap((group) => group.names);

test("tests need more packages than a run", (t) => {
  const run = names(wantedPackages(19, false));
  const tests = names(wantedPackages(19, true));
  t.true(run.every((name) => tests.includes(name)));
  t.deepEqual(
    tests.filter((name) => !run.includes(name)),
    [
      "iperf3",
      "tcpdump",
      "iptables",
      "nftables",
      "golang-go",
      "golang-github-appc-cni-dev",
      "systemd",
      "procps",
      "systemd-container",
      "qemu-system-x86",
      "kmod",
      "xz-utils",
      "clang-format-19",
    ],
  );
});
test("only what is missing is installed, with its reason", (t) => {
  const wanted = wantedPackages(19, false);
  const all = new Set(names(wanted));
  t.deepEqual(missingPackages(wanted, all), []);
  all.delete("musl-tools");
  all.delete("llvm-19");
  t.is(
    describe(missingPackages(wanted, all)),
    "llvm-19 (to compile the BPF programs), musl-tools (to link the CNI plugin statically)",
  );
});
test("clang 19 is taken where it is to be had, else the newest that has its llvm", (t) => {
  t.is(chooseClang(new Set(["clang-14", "llvm-14", "clang-19", "llvm-19", "clang-22", "llvm-22"])), 19);
  t.is(chooseClang(new Set(["clang-14", "llvm-14", "clang-18", "llvm-18", "clang-21"])), 18);
  t.is(chooseClang(new Set(["clang-13", "llvm-13"])), undefined);
});
test("a plan installs clang 19 although an older one is present", (t) => {
  const present = new Set(names(wantedPackages(14, false)));
  const plan = installPlan(present, new Set(["clang-19", "llvm-19"]), false);
  t.deepEqual(
    [plan.clang, plan.missing.flatMap((group) => group.names), plan.unknown],
    [19, ["clang-19", "llvm-19"], []],
  );
});
test("a plan keeps an older clang where apt has no 19", (t) => {
  const present = new Set(names(wantedPackages(14, false)));
  t.deepEqual(installPlan(present, new Set(["clang-14"]), false), { clang: 14, missing: [], unknown: [] });
});
test("a plan names what apt does not know", (t) => {
  const present = new Set(names(wantedPackages(19, false)).filter((name) => name !== "bpftool" && name !== "make"));
  t.deepEqual(installPlan(present, new Set(["make"]), false).unknown, ["bpftool"]);
});
test("dpkg-query's list: removed packages with left-over configuration do not count", (t) => {
  const text = "installed g++ 4:12.2.0-3\nconfig-files tcpdump 4.99\nnot-installed make \ninstalled make 4.3-4.1\n";
  t.deepEqual(
    [...parseInstalled(text)],
    [
      ["g++", "4:12.2.0-3"],
      ["make", "4.3-4.1"],
    ],
  );
});
test("apt-cache's list: a package without a candidate cannot be installed", (t) => {
  const text =
    "clang-19:\n  Installed: (none)\n  Candidate: 1:19.1.7\n  Version table:\n     1:19.1.7 500\n" +
    "clang-22:\n  Installed: (none)\n  Candidate: (none)\n  Version table:\n" +
    "g++:\n  Installed: 4:12\n  Candidate: 4:12\n  Version table:\n";
  t.deepEqual([...parseCandidates(text)], ["clang-19", "g++"]);
});

test("npm is looked for where it says it is, then on the PATH, then beside Node", (t) => {
  const found = npmCandidates({ npm_execpath: "/n/bin/npm-cli.js", PATH: "/a:/b" }, "/opt/node/bin/node");
  t.deepEqual(found, ["/n/bin/npm-cli.js", "/a/npm", "/b/npm", "/opt/node/lib/node_modules/npm/bin/npm-cli.js"]);
});
test("another package manager's npm_execpath is not taken for npm", (t) => {
  t.deepEqual(npmCandidates({ npm_execpath: "/x/pnpm.cjs", PATH: "" }, "/usr/bin/node"), [
    "/usr/lib/node_modules/npm/bin/npm-cli.js",
  ]);
});

const withDirectory = test.macro((t, work: (t: ExecutionContext, directory: string) => void) => {
  const directory = mkdtempSync(path.join(tmpdir(), "portwright-setup-test-"));
  t.teardown(() => rmSync(directory, { recursive: true, force: true }));
  mkdirSync(path.join(directory, "src/deep"), { recursive: true });
  writeFileSync(path.join(directory, "src/a.c"), "int a;");
  writeFileSync(path.join(directory, "src/deep/b.h"), "int b;");
  writeFileSync(path.join(directory, "src/notes.txt"), "x");
  work(t, directory);
});
const isSource = (file: string) => /\.[ch]$/.test(file);
test("inputs are the files of the directories that count, in a fixed order", withDirectory, (t, directory) => {
  t.deepEqual(inputFiles(directory, ["src", "missing", "src/a.c"], isSource), ["src/a.c", "src/deep/b.h"]);
  t.deepEqual(inputFiles(directory, ["src/notes.txt"], isSource), ["src/notes.txt"]);
});
test("a stamp is current until content, name, tool or output changes", withDirectory, (t, directory) => {
  const print = (...facts: string[]) => fingerprint(directory, inputFiles(directory, ["src"], isSource), facts);
  const stamp = path.join(directory, "stamps/src");
  const output = path.join(directory, "out.o");
  const first = print("cc 12");
  t.is(isCurrent(stamp, first, [output]), false);
  writeStamp(stamp, first);
  t.is(isCurrent(stamp, first, [output]), false);
  writeFileSync(output, "");
  t.is(isCurrent(stamp, print("cc 12"), [output]), true);
  t.is(isCurrent(stamp, print("cc 13"), [output]), false);
  writeFileSync(path.join(directory, "src/notes.txt"), "y");
  t.is(isCurrent(stamp, print("cc 12"), [output]), true);
  writeFileSync(path.join(directory, "src/deep/b.h"), "int c;");
  t.is(isCurrent(stamp, print("cc 12"), [output]), false);
  writeFileSync(path.join(directory, "src/deep/b.h"), "int b;");
  t.is(isCurrent(stamp, print("cc 12"), [output]), true);
  rmSync(path.join(directory, "src/a.c"));
  writeFileSync(path.join(directory, "src/aa.c"), "int a;");
  t.is(isCurrent(stamp, print("cc 12"), [output]), false);
});
