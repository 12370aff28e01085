// The last good intent on disk: whole at every moment, whatever is cut off when.
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import test, { type ExecutionContext } from "ava";
import { RecordFiles } from "../../daemon/state/record-files.ts";
import { decideBoot } from "../../daemon/transaction/boot.ts";
import { type Checkpoint, type GoodIntent, IntentStore, sourcesOf } from "../../daemon/transaction/intent-store.ts";

const good = (generation: number): GoodIntent => ({
  generation,
  sources: sourcesOf([{ file: "a.yaml", text: `generation ${generation}` }]),
  savedAt: "2026-01-01T00:00:00.000Z",
  filesDigest: `files ${generation}`,
});
const checkpoint = (generation: number): Checkpoint => ({
  ...{ id: "c", startedAt: "", epoch: "e", steps: ["create bridge"] },
  candidateDigest: good(generation).sources.digest,
  links: [{ ifindex: 2, name: "nic0", before: { mtu: 1500, data: { miimon: 100 } } }],
});
const outcome = { id: "c", result: "rolled-back", cause: "probe", reason: "silent" } as const;
const note = (generation: number) => ({ candidateDigest: good(generation).sources.digest, outcome, at: "" });

function directory(t: ExecutionContext): string {
  const made = mkdtempSync(path.join(tmpdir(), `pw-store-${process.pid}-`));
  t.teardown(() => rmSync(made, { recursive: true, force: true }));
  return made;
}
const open = (at: string) => new IntentStore(new RecordFiles(at));

class Killed extends Error {}

/** Answers `lives` calls and then no more. */
function dying(files: RecordFiles, lives: number): RecordFiles {
  let left = lives;
  return new Proxy(files, {
    get: (target, name) => {
      const value = Reflect.get(target, name, target) as unknown;
      if (typeof value !== "function" || name === "has" || name === "read") {
        return typeof value === "function" ? value.bind(target) : value;
      }
      return (...args: unknown[]) => {
        if (left-- <= 0) throw new Killed();
        return Reflect.apply(value, target, args) as unknown;
      };
    },
  });
}

test("what is saved is read back, with the generation before it", async (t) => {
  const at = directory(t);
  await open(at).saveFirst(good(1));
  t.deepEqual(open(at).load(), { good: good(1), unfinished: null, givenUp: null, damaged: [] });
  const store = open(at);
  await store.prepare(good(2), checkpoint(2));
  t.deepEqual(open(at).load().unfinished, checkpoint(2));
  t.is(open(at).load().good?.generation, 1);
  await store.commit();
  t.deepEqual(open(at).load(), { good: good(2), unfinished: null, givenUp: null, damaged: [] });
  writeFileSync(
    path.join(at, "good.json"),
    readFileSync(path.join(at, "good.json"), "utf8").replace("generation 2", "generation X"),
  );
  const damaged = open(at).load();
  t.is(damaged.good?.generation, 1);
  t.regex(damaged.damaged[0] ?? "", /good\.json: its checksum does not match/);
});

test("cut off at any moment of prepare and commit, a start finds the old and the way back, or the new", async (t) => {
  let seen = "";
  for (let lives = 0; lives < 10; lives++) {
    const at = directory(t);
    await open(at).saveFirst(good(1));
    const store = new IntentStore(dying(new RecordFiles(at), lives));
    let committing = false;
    try {
      await store.prepare(good(2), checkpoint(2));
      committing = true;
      await store.commit();
    } catch (error) {
      t.true(error instanceof Killed);
    }
    const { good: found, unfinished, damaged } = open(at).load();
    t.deepEqual(damaged, []);
    if (found?.generation === 2) t.is(unfinished, null);
    else if (committing) t.deepEqual(unfinished, checkpoint(2), "steps were taken: the way back is there");
    seen += `${found?.generation}${unfinished === null ? "" : "!"} `;
  }
  t.regex(seen, /^1 1 1! 2 2 2 2/);
});

test("cut off at any moment of a roll-back, a start does it again or knows of it", async (t) => {
  for (let lives = 0; lives < 6; lives++) {
    const at = directory(t);
    await open(at).saveFirst(good(1));
    await open(at).prepare(good(2), checkpoint(2));
    await new IntentStore(dying(new RecordFiles(at), lives)).rolledBack(note(2)).catch(() => undefined);
    const { good: found, unfinished, givenUp } = open(at).load();
    t.is(found?.generation, 1);
    t.true(unfinished !== null || givenUp !== null, `${lives} calls`);
  }
});

test("a commit forgets what was given up before", async (t) => {
  const at = directory(t);
  const store = open(at);
  await store.saveFirst(good(1));
  await store.prepare(good(2), checkpoint(2));
  await store.rolledBack(note(2));
  t.is(open(at).load().givenUp?.outcome.reason, "silent");
  await store.prepare(good(3), checkpoint(3));
  await store.commit();
  t.is(open(at).load().givenUp, null);
});

test("a start goes by the last good intent, and by files only if they are new and were not given up", (t) => {
  const usable = (digest: string) => ({ digest, usable: true });
  const stored = { good: good(1), unfinished: null, givenUp: null };
  t.deepEqual(decideBoot({ ...stored, good: null }, usable("x")), { run: "files" });
  t.like(decideBoot(stored, usable("files 1")), { run: "good", files: "same", undo: false });
  t.like(decideBoot(stored, usable("x")), { files: "apply" });
  t.like(decideBoot(stored, { digest: null, usable: false }), { files: "unusable" });
  const { digest } = good(2).sources;
  t.like(decideBoot({ ...stored, givenUp: note(2) }, usable(digest)), { files: "given-up", undo: false });
  t.like(decideBoot({ ...stored, givenUp: note(2) }, usable("x")), { files: "apply" }, "they were corrected");
  t.like(decideBoot({ ...stored, unfinished: checkpoint(2) }, usable(digest)), { files: "given-up", undo: true });
  t.like(decideBoot({ ...stored, unfinished: checkpoint(2) }, usable("files 1")), { files: "same", undo: true });
});
