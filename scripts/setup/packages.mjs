// @ts-check
// The Debian packages that building, running and testing need, and their installation by apt-get.
import { SetupError } from "./report.mjs";
import { output, run } from "./run.mjs";

/** @typedef {{ readonly why: string, readonly names: readonly string[] }} PackageGroup */

/** Debian 12's newest; any of the range compiles the programs, and where 19 is not to be had the newest of these is taken. */
const PREFERRED_CLANG = 19;
const CLANGS = /** @type {const} */ ([22, 21, 20, 19, 18, 17, 16, 15, 14]);

/** @type {readonly PackageGroup[]} */
const RUN_GROUPS = [
  { why: "to build the native addon", names: ["g++", "make", "python3", "libbpf-dev", "libmnl-dev", "libelf-dev"] },
  { why: "headers of the kernel and of zlib", names: ["linux-libc-dev", "zlib1g-dev"] },
  { why: "to link the CNI plugin statically", names: ["musl-tools"] },
  { why: "the stock IPAM plugins", names: ["containernetworking-plugins"] },
  // udhcpc and, for tests, udhcpd; the test suite boots virtual machines with it. Debian has it as busybox, too: one excludes the other.
  { why: "the DHCP client of the host's own interfaces", names: ["busybox-static"] },
  { why: "to look at links, reachability and BPF objects", names: ["iproute2", "iputils-ping", "bpftool"] },
];

/** @type {readonly PackageGroup[]} */
const TEST_GROUPS = [
  { why: "to test and to measure", names: ["iperf3", "tcpdump"] },
  {
    why: "what the stock bridge plugin calls, which ours is measured against; nft reads our table",
    names: ["iptables", "nftables"],
  },
  { why: "libcni, which drives the CNI plugin in tests", names: ["golang-go", "golang-github-appc-cni-dev"] },
  // Installed systems have both, containers have not; systemd does not become the init (that is systemd-sysv).
  { why: "to check the units and to pass sockets to the daemon", names: ["systemd", "procps"] },
  { why: "to test with a real systemd", names: ["systemd-container"] },
  { why: "to test on other kernels", names: ["qemu-system-x86", "kmod", "xz-utils"] },
];

/**
 * @param {number} clang
 * @param {boolean} tests also what only tests, lint and bench use
 * @returns {PackageGroup[]}
 */
export function wantedPackages(clang, tests) {
  return [
    { why: "to compile the BPF programs", names: [`clang-${clang}`, `llvm-${clang}`] },
    ...RUN_GROUPS,
    ...(tests ? [...TEST_GROUPS, { why: "to check the format of C and C++", names: [`clang-format-${clang}`] }] : []),
  ];
}

/**
 * @param {readonly PackageGroup[]} wanted
 * @param {ReadonlySet<string>} installed
 * @returns {PackageGroup[]} the groups reduced to what is missing
 */
export function missingPackages(wanted, installed) {
  return wanted
    .map(({ why, names }) => ({ why, names: names.filter((name) => !installed.has(name)) }))
    .filter(({ names }) => names.length > 0);
}

/**
 * @param {ReadonlySet<string>} available names of packages, installed or installable
 * @returns {number | undefined} the version of clang to use
 */
export function chooseClang(available) {
  const has = (/** @type {number} */ version) => available.has(`clang-${version}`) && available.has(`llvm-${version}`);
  return has(PREFERRED_CLANG) ? PREFERRED_CLANG : CLANGS.find(has);
}

/**
 * @param {string} text output of dpkg-query --show --showformat='${db:Status-Status} ${Package} ${Version}\n'
 * @returns {Map<string, string>} installed packages and their versions
 */
export function parseInstalled(text) {
  const lines = text.split("\n").map((line) => line.split(" "));
  return new Map(
    lines.flatMap(([state, name, version]) => (state === "installed" && name ? [[name, version ?? ""]] : [])),
  );
}

/**
 * @param {string} text output of apt-cache policy
 * @returns {Set<string>} names that apt can install
 */
export function parseCandidates(text) {
  const found = text.matchAll(/^(\S+):\n(?: {2}.*\n)*? {2}Candidate: (?!\(none\))/gm);
  return new Set([...found].map((match) => match[1] ?? ""));
}

/** @param {readonly PackageGroup[]} groups */
export function describe(groups) {
  return groups.map(({ why, names }) => `${names.join(" ")} (${why})`).join(", ");
}

const names = (/** @type {readonly PackageGroup[]} */ groups) => groups.flatMap((group) => group.names);

/**
 * One call of dpkg-query: what is installed, and whether that is enough with one clang or another.
 * @param {boolean} tests
 */
export async function inspectPackages(tests) {
  const versions = await installedPackages(tests);
  const present = new Set(versions.keys());
  const clang = chooseClang(present) ?? PREFERRED_CLANG;
  return { versions, present, clang, missing: missingPackages(wantedPackages(clang, tests), present) };
}

/**
 * Installs what is missing, and says so before it does.
 * @param {boolean} tests
 * @param {import("./report.mjs").Report} report
 * @returns {Promise<Map<string, string>>} the packages in use and their versions, for the stamps of what is built with them
 */
export async function ensurePackages(tests, report) {
  const found = await inspectPackages(tests);
  if (found.missing.length === 0 && found.clang === PREFERRED_CLANG) return found.versions;

  const everyClang = CLANGS.flatMap((version) => names(wantedPackages(version, tests)));
  let plan = installPlan(found.present, await aptCandidates(everyClang), tests);
  if (plan.unknown.length > 0) {
    await report.step("fetching apt's package lists, because they do not name all that is needed", aptUpdate);
    plan = installPlan(found.present, await aptCandidates(everyClang), tests);
  }
  if (plan.unknown.length > 0)
    throw new SetupError(
      `apt knows no package ${plan.unknown.join(", ")}. Debian 12 and newer have them all in "main": see the sources in /etc/apt.`,
    );
  if (plan.missing.length === 0) return found.versions;

  await report.step(`installing Debian packages, because they are missing: ${describe(plan.missing)}`, () =>
    aptInstall(names(plan.missing)),
  );
  const versions = await installedPackages(tests);
  const still = missingPackages(plan.missing, new Set(versions.keys()));
  if (still.length > 0) throw new SetupError(`apt-get ended well, but these are still missing: ${describe(still)}.`);
  return versions;
}

/**
 * @param {ReadonlySet<string>} present installed packages
 * @param {ReadonlySet<string>} candidates packages that apt can install
 * @param {boolean} tests
 * @returns {{ clang: number, missing: PackageGroup[], unknown: string[] }} unknown: missing ones that apt cannot install
 */
export function installPlan(present, candidates, tests) {
  const clang = chooseClang(new Set([...present, ...candidates])) ?? PREFERRED_CLANG;
  const missing = missingPackages(wantedPackages(clang, tests), present);
  return { clang, missing, unknown: names(missing).filter((name) => !candidates.has(name)) };
}

/**
 * @param {boolean} tests
 * @returns {Promise<Map<string, string>>}
 */
async function installedPackages(tests) {
  const ask = new Set(CLANGS.flatMap((version) => names(wantedPackages(version, tests))));
  const format = "${db:Status-Status} ${Package} ${Version}\\n";
  // Exit code 1 says that some of the names are unknown to dpkg; those that it knows are printed all the same.
  const text = await output("dpkg-query", ["--show", `--showformat=${format}`, ...ask], { okCodes: [0, 1] }).catch(
    notDebian("dpkg-query"),
  );
  return parseInstalled(text);
}

/**
 * @param {string[]} ask
 * @returns {Promise<Set<string>>}
 */
async function aptCandidates(ask) {
  const text = await output("apt-cache", ["policy", ...new Set(ask)], { env: { LC_ALL: "C" } }).catch(
    notDebian("apt-cache"),
  );
  return parseCandidates(text);
}

const aptUpdate = () =>
  run("apt-get", ["update", "-q"], { onFail: "apt-get update failed" }).catch(notDebian("apt-get"));

/** @param {string[]} packages */
async function aptInstall(packages) {
  // A fresh machine often runs its own upgrades: wait for dpkg's lock instead of failing at once.
  const wait = "DPkg::Lock::Timeout=300";
  const args = ["install", "-y", "-q", "--no-install-recommends", "-o", wait, ...packages];
  const options = { env: { DEBIAN_FRONTEND: "noninteractive" }, onFail: "apt-get install failed" };
  try {
    await run("apt-get", args, options);
  } catch (error) {
    // Lists that are older than the mirror name files that it no longer has.
    if (!(error instanceof SetupError && /\b404\b/.test(error.detail))) throw error;
    await aptUpdate();
    await run("apt-get", args, options);
  }
}

/** @param {string} command */
function notDebian(command) {
  return (/** @type {unknown} */ error) => {
    if (/** @type {NodeJS.ErrnoException} */ (error).code !== "ENOENT") throw error;
    throw new SetupError(
      `there is no ${command} here: set-up installs what it needs through apt and knows Debian 12 and newer (and Ubuntu) only.`,
    );
  };
}
