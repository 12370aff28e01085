// The process dies at every write of a change that takes bonds apart: the next start puts everything back as it was.
import test from "ava";
import { bondText } from "../../support/bond-host.ts";
import { dieEverywhere, makeBed } from "../../support/lives.ts";

const BEFORE = bondText(["nic0", "nic1"], { mode: "active-backup", miimon: 50, updelay: 100, primary: "nic1" });
/** Another mode, with all that comes with it; one NIC moves to a bond that is new, and another one takes its place. */
const AFTER = [
  bondText(
    ["nic0", "nic2"],
    { mode: "802.3ad", lacpRate: "fast", xmitHashPolicy: "layer3+4" },
    { mtu: 1400, txQLen: 77 },
  ),
  bondText(["nic1"], { mode: "balance-xor" }, { mtu: 9000 }, "late"),
].join("---");

// A death before a write is one after the write before it, but for what is on disk: which test/netns goes through.
test.serial("a death after any write of a change of bonds: the next start undoes it wholly", async (t) => {
  t.timeout(600_000);
  const nics = ["nic0", "nic1", "nic2"].map((name) => ({ name }));
  const bed = await makeBed(t, { intent: BEFORE, nics, bonding: true });
  const deaths = await dieEverywhere(t, bed, AFTER, "after");
  t.log(`${deaths} deaths`);
  t.true(deaths >= 20, `${deaths} writes`);
});
