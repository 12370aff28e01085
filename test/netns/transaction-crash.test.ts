// The process dies at every single write of a change: the next start finds its way back to the last good intent.
import test from "ava";
import { PROBED } from "../support/change.ts";
import { type Bed, dieEverywhere, life, livingOn, makeBed } from "../support/lives.ts";
import { CLUSTER_NETWORK, UPLINK } from "../support/test-host.ts";

const BED = { intent: PROBED(100), nics: [{ name: "nic0" }], bonding: false };
/** Loses a cluster network with its probe port, gains another on the same NIC with other settings, and a further one. */
const AFTER = `${CLUSTER_NETWORK("late")}---${UPLINK("late", "nic0", 1400).replace("mtu: 1400", "mtu: 1400, txQLen: 777")}---${CLUSTER_NETWORK("third")}`;

for (const moment of ["before", "after"] as const) {
  test.serial(`a death ${moment} any write of a change: the next start undoes it wholly`, async (t) => {
    t.timeout(240_000);
    const deaths = await dieEverywhere(t, await makeBed(t, BED), AFTER, moment);
    t.true(deaths >= 10, `${deaths} writes`);
  });
}

test.serial("a death at any write of the way back: the next start goes it again", async (t) => {
  t.timeout(240_000);
  const here = await makeBed(t, BED);
  const texts = [{ file: "after.yaml", text: AFTER }];
  let last = await livingOn(here);
  const before = await last.state();
  let deaths = 0;
  for (let at = 1; ; at++) {
    await last.control.apply({ texts, confirm: 600 });
    await last.end();
    const doomed = await livingOn(here); // undoes it by the checkpoint
    await doomed.control.apply({ texts, confirm: 600 });
    await doomed.end();
    const died = await diesAtStart(here, at);
    deaths += died ? 1 : 0;
    last = await livingOn(here);
    t.deepEqual(await last.state(), before, `death at write ${at} of the way back`);
    if (!died) break;
  }
  await last.end();
  t.true(deaths >= 10, `${deaths} writes`);
});

/** false: the start had fewer writes */
async function diesAtStart(bed: Bed, at: number): Promise<boolean> {
  const doomed = await life(bed, { at, moment: "after" }, true);
  const survived = await Promise.race([doomed.started.then(() => true), doomed.mortal.died.then(() => false)]);
  await doomed.end();
  return !survived;
}
