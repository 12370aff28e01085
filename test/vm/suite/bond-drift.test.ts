// Somebody changes a bond by hand: it is put right at once, and counted. How long it took is told.
import test, { type ExecutionContext } from "ava";
import { BOTH, bondOf, bondText, hostIp, membersOf, NICS } from "../../support/bond-host.ts";
import { metric } from "../../support/change.ts";
import { TestHost } from "../../support/test-host.ts";
import { until } from "../../support/until.ts";

/** `ip link …` by hand, then what must be true again. Each is counted. */
async function meddle(t: ExecutionContext, h: TestHost, by: string, isRight: () => Promise<boolean>): Promise<void> {
  const repairs = () => metric(h, "portwright_drift_repairs_total");
  const before = await repairs();
  await hostIp(h, "link", ...by.split(" "));
  const begun = Date.now();
  await until(isRight);
  t.log(`ip link ${by}: put right after ${Date.now() - begun} ms`);
  await until(async () => (await repairs()) > before);
}

test.serial("a member that is downed, taken out or given to somebody else, an option, the bond itself", async (t) => {
  const h = await TestHost.start(t, { intent: bondText(NICS, { mode: "active-backup" }), nics: BOTH });
  const isUp = async (name: string) => (await h.host.namespace.link({ name }))?.up === true;
  const isWhole = async () => (await membersOf(h)).join() === "nic0,nic1";
  await meddle(t, h, "set nic0 down", () => isUp("nic0"));
  await meddle(t, h, "set nic1 nomaster", isWhole);
  await hostIp(h, "link", "add", "foreign0", "type", "bond");
  await meddle(t, h, "set oob-bo down", () => isUp("oob-bo"));
  await meddle(t, h, "set oob-bo type bond miimon 300", async () => (await bondOf(h)).data["miimon"] === 100);
  await meddle(t, h, "set oob-bo mtu 1400", async () => (await bondOf(h)).mtu === 1500);
  await meddle(t, h, "del oob-bo", async () => {
    const bond = await h.host.namespace.link({ name: "oob-bo" });
    return bond !== null && (await isWhole());
  });
  await until(async () => (await h.ports()).some(({ device, attached }) => device === "oob-bo" && attached));
  await until(async () => (await h.status()).ready);
  t.truthy(await h.host.namespace.link({ name: "foreign0" }), "a bond of somebody else is left alone");
});
