/** Delegation to IPAM plugins: the stock ones, and ones that misbehave. */
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { type ExecutionContext } from "ava";
import { Ipam, type IpamCall, IpamError } from "../../daemon/attach/ipam.ts";
import { nativeKernel } from "../../daemon/kernel/native.ts";
import { baseConf, cni, FakeHost } from "../support/attach-fakes.ts";

const STOCK = "/usr/lib/cni";
const withStock = existsSync(join(STOCK, "host-local")) ? test : test.skip;

function directory(t: ExecutionContext): string {
  const path = mkdtempSync(join(tmpdir(), `pw-ipam-${process.pid}-`));
  t.teardown(() => rmSync(path, { recursive: true, force: true }));
  return path;
}

function plugin(path: string, name: string, script: string): void {
  writeFileSync(join(path, name), `#!/bin/sh\n${script}\n`);
  chmodSync(join(path, name), 0o755);
}

function call(type: string, path: string, stdin = "{}"): IpamCall & { readonly heard: string[] } {
  const heard: string[] = [];
  return {
    type,
    env: { CNI_COMMAND: "ADD", CNI_PATH: path, CNI_CONTAINERID: "c" },
    stdin,
    stderr: (text) => heard.push(text),
    heard,
  };
}

withStock("host-local gives an address in every version it knows, and takes it back", async (t) => {
  const dataDir = directory(t);
  for (const cniVersion of ["0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0"]) {
    const fake = new FakeHost();
    t.teardown(() => fake.dispose());
    const netns = fake.addNetns("/ns/a");
    const service = await fake.started({ ipam: new Ipam(nativeKernel()) });
    const ipam = {
      type: "host-local",
      dataDir,
      ranges: [[{ subnet: "10.9.8.0/24" }], [{ subnet: "fd09::/64" }]],
      routes: [{ dst: "0.0.0.0/0" }, { dst: "::/0" }],
    };
    const conf = { ...baseConf, cniVersion, ipam };
    const added = await cni(service, { command: "ADD", conf });
    t.is(added.exitCode, 0, added.stdout);
    t.is(netns.addresses.length, 2);
    t.deepEqual(
      netns.routes.map((r) => r.gateway),
      ["10.9.8.1", "fd09::1"],
    );
    const held = () => readdirSync(join(dataDir, "net")).filter((name) => /^(10\.|fd)/.test(name)).length;
    t.is(held(), 2);
    if (cniVersion >= "0.4.0")
      t.is((await cni(service, { command: "CHECK", conf: { ...conf, prevResult: added.json } })).stdout, "");
    t.is((await cni(service, { command: "DEL", conf })).exitCode, 0);
    t.is(held(), 0);
    t.is((await cni(service, { command: "DEL", conf })).exitCode, 0);
  }
});

withStock("an ADD that fails after host-local gave an address gives it back", async (t) => {
  const dataDir = directory(t);
  const fake = new FakeHost();
  t.teardown(() => fake.dispose());
  fake.addNetns("/ns/a");
  const service = await fake.started({ ipam: new Ipam(nativeKernel()) });
  fake.onStep = (step) => {
    if (step === "address") throw new Error("no");
  };
  const conf = { ...baseConf, ipam: { type: "host-local", dataDir, subnet: "10.9.8.0/24" } };
  t.is((await cni(service, { command: "ADD", conf })).exitCode, 1);
  t.deepEqual(
    readdirSync(join(dataDir, "net")).filter((name) => name.startsWith("10.")),
    [],
  );
});

withStock("host-local of before 1.1.0 is no failure of GC, and STATUS names its version", async (t) => {
  const fake = new FakeHost();
  t.teardown(() => fake.dispose());
  const service = await fake.started({ ipam: new Ipam(nativeKernel()) });
  const known = await new Ipam(nativeKernel()).versions(call("host-local", STOCK));
  t.true(known.includes("1.0.0"));
  const conf = { ...baseConf, cniVersion: "1.1.0", ipam: { type: "host-local", subnet: "10.9.8.0/24" } };
  const ask = (command: string) =>
    cni(service, { command, conf, env: { CNI_CONTAINERID: "", CNI_IFNAME: "", CNI_NETNS: "" } });
  t.is((await ask("GC")).stdout, "");
  const { json } = await ask("STATUS");
  if (known.includes("1.1.0")) t.deepEqual(json, {});
  else t.like(json, { code: 50, msg: "IPAM plugin host-local does not support cniVersion 1.1.0" });
});

withStock("static gives what the configuration says; its errors are passed on", async (t) => {
  const fake = new FakeHost();
  t.teardown(() => fake.dispose());
  const netns = fake.addNetns("/ns/a");
  const service = await fake.started({ ipam: new Ipam(nativeKernel()) });
  const ipam = {
    type: "static",
    addresses: [{ address: "10.7.0.5/16", gateway: "10.7.0.1" }],
    dns: { nameservers: ["10.7.0.53"] },
  };
  const added = await cni(service, { command: "ADD", conf: { ...baseConf, ipam } });
  t.like(added.json, {
    ips: [{ address: "10.7.0.5/16", gateway: "10.7.0.1", interface: 2 }],
    dns: { nameservers: ["10.7.0.53"] },
  });
  t.is(netns.addresses[0]?.address, "10.7.0.5");
  const bad = await cni(service, {
    command: "ADD",
    ifname: "eth1",
    conf: { ...baseConf, ipam: { type: "static", addresses: [{ address: "x" }] } },
  });
  t.is(bad.exitCode, 1);
  t.regex(bad.json.msg, /CIDR notation/);
});

test("a plugin gets the environment, its verb and the whole of stdin; stderr is passed on", async (t) => {
  const path = directory(t);
  mkdirSync(join(path, "a"));
  mkdirSync(join(path, "a", "mine")); // a directory of that name is no plugin
  plugin(
    path,
    "mine",
    `env | grep -v -e ^PWD -e ^OLDPWD -e ^SHLVL -e ^_ -e ^PATH | sort > ${path}/env; cat > ${path}/stdin; echo oh >&2; echo '{"ips":[{"address":"10.0.0.1/8"}]}'`,
  );
  const one = call("mine", `relative:${path}/a:/does/not/exist:/dev/null:${path}`, '{"x":"ü"}');
  const { result, confirmed } = await new Ipam(nativeKernel()).add(one);
  await confirmed;
  t.is(result.ips[0]?.address, "10.0.0.1/8");
  t.is(readFileSync(join(path, "env"), "utf8"), `CNI_COMMAND=ADD\nCNI_CONTAINERID=c\nCNI_PATH=${one.env.CNI_PATH}\n`);
  t.is(readFileSync(join(path, "stdin"), "utf8"), '{"x":"ü"}');
  t.deepEqual(one.heard, ["oh\n"]);
});

test("a result is there before its plugin has ended, and counts when that ends well", async (t) => {
  const path = directory(t);
  const result = `echo -n '{"ips":[{"addr'; sleep 0.1; echo 'ess":"10.0.0.1/8"}]}'`;
  plugin(path, "good", `${result}; while [ ! -e ${path}/go ]; do sleep 0.05; done`);
  plugin(path, "late", `${result}; sleep 0.2; exit 3`);
  plugin(path, "more", `${result}; sleep 0.2; echo '{}'`);
  const ipam = new Ipam(nativeKernel());
  const good = await ipam.add(call("good", path));
  t.is(good.result.ips[0]?.address, "10.0.0.1/8");
  writeFileSync(join(path, "go"), "");
  await good.confirmed;
  for (const [type, words] of [
    ["late", /ended with exit code 3/],
    ["more", /wrote more after its result/],
  ] as const) {
    const offer = await ipam.add(call(type, path));
    t.is(offer.result.ips[0]?.address, "10.0.0.1/8");
    await t.throwsAsync(offer.confirmed, { message: words });
  }
});

test("what goes wrong with a plugin is told in words", async (t) => {
  const path = directory(t);
  plugin(path, "own", `echo '{"code":77,"msg":"mine","details":"d"}'; exit 1`);
  plugin(path, "quiet", "exit 3");
  plugin(path, "killed", "kill -9 $$");
  plugin(path, "slow", "exec sleep 60");
  plugin(path, "loud", "head -c 2000000 /dev/zero");
  plugin(path, "garbage", "echo hello");
  plugin(path, "empty", "echo '{}'");
  plugin(path, "wrong", `echo '{"ips":[{"address":"1.2.3.4"}]}'`);
  writeFileSync(join(path, "data"), "no program");
  const hasty = new Ipam(nativeKernel(), { timeout: 300 });
  const patient = new Ipam(nativeKernel());
  const failure = async (type: string, where = path) =>
    await t.throwsAsync<IpamError>((type === "slow" ? hasty : patient).add(call(type, where)));
  const own = await failure("own");
  t.deepEqual([own.cniCode, own.message, own.details], [77, "mine", "d"]);
  for (const [type, words] of [
    ["quiet", /ended with exit code 3/],
    ["killed", /ended with signal SIGKILL/],
    ["slow", /did not end within 0.3 s/],
    ["loud", /wrote more than 1 MiB/],
    ["garbage", /is not JSON/],
    ["empty", /has no address/],
    ["wrong", /ips\[0\].address must be an IP address with prefix length/],
    ["data", /no IPAM plugin "data"/],
    ["absent", /no IPAM plugin "absent" in CNI_PATH/],
    ["../own", /no IPAM plugin/],
  ] as const) {
    const error = await failure(type);
    t.is(error.cniCode, 104, type);
    t.regex(error.message, words);
  }
  await failure("own", "");
});

test("no more plugins run at once than allowed", async (t) => {
  const path = directory(t);
  plugin(
    path,
    "count",
    `d=$(mktemp -d ${path}/run.XXXXXX); ls -d ${path}/run.* | wc -l >> ${path}/seen; sleep 0.1; rmdir $d; echo '{"ips":[{"address":"10.0.0.1/8"}]}'`,
  );
  const ipam = new Ipam(nativeKernel(), { concurrency: 2 });
  await Promise.all(Array.from({ length: 7 }, () => ipam.add(call("count", path))));
  const seen = readFileSync(join(path, "seen"), "utf8").trim().split("\n").map(Number);
  t.is(seen.length, 7);
  t.true(Math.max(...seen) <= 2, String(seen));
});
