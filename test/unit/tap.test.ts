// How the test runner reads TAP: a run must never look better than it was.
import test from "ava";
import { readTap, type Result } from "../../scripts/testing/tap.mjs";

async function read(text: string): Promise<Result[]> {
  const results: Result[] = [];
  async function* lines() {
    yield* text.split("\n");
  }
  for await (const result of readTap(lines())) results.push(result);
  return results;
}

test("passed, failed and skipped tests are told apart", async (t) => {
  const results = await read(
    "TAP version 13\nok 1 - a\nnot ok 2 - b\nok 3 - c # SKIP no tcx\nnot ok 4 - d # todo\n1..4",
  );
  t.deepEqual(
    results.map(({ title, outcome, reason }) => [title, outcome, reason]),
    [
      ["a", "passed", ""],
      ["b", "failed", ""],
      ["c", "skipped", "no tcx"],
      ["d", "skipped", ""],
    ],
  );
});
test("the diagnostic block goes with the test before it", async (t) => {
  const text =
    'not ok 1 - a\n  ---\n    name: AssertionError\n    at: "x.ts:3"\n  ok 9 - not a test\n  ...\nok 2 - b\n1..2';
  const results = await read(text);
  t.deepEqual(
    results.map(({ title, detail }) => [title, detail]),
    [
      ["a", ["  name: AssertionError", '  at: "x.ts:3"', "ok 9 - not a test"]],
      ["b", []],
    ],
  );
});
test("what a test logged goes with it, and no other comment does", async (t) => {
  const results = await read(
    "# alpha\nok 1 - a\n#   90 ms lost\n#   20 ms lost\nnot ok 2 - b\n  ---\n  #   no\n  ...\n1..2\n# pass 1",
  );
  t.deepEqual(
    results.map(({ notes }) => notes),
    [["90 ms lost", "20 ms lost"], []],
  );
});
test("comments and other output are no tests", async (t) => {
  t.is((await read("# ok 1 - x\nokay then\nnot okay\nok 1 - a\n1..1")).length, 1);
});
test("a hash in a title is not a directive", async (t) => {
  const results = await read("ok 1 - issue 2 \\# skip holds\nok 2 - a # skippers\nok 3 - C# code\n1..3");
  t.deepEqual(
    results.map(({ title, outcome }) => [title, outcome]),
    [
      ["issue 2 # skip holds", "passed"],
      ["a # skippers", "passed"],
      ["C# code", "passed"],
    ],
  );
});
test("output that ends before its plan is an error", async (t) => {
  await t.throwsAsync(read("TAP version 13\nok 1 - a"), { message: /without a plan/ });
});
test("a skip cannot hide a failure", async (t) => {
  t.is((await read("not ok 1 - frames # skip the queue\n1..1"))[0]?.outcome, "failed");
});
test("more results than planned are all told", async (t) => {
  t.is((await read("ok 1 - a\nnot ok 2 - file exited\n1..1")).length, 2);
});
test("fewer results than planned are an error", async (t) => {
  await t.throwsAsync(read("1..3\nok 1 - a\nok 2 - b"), { message: "3 tests were announced, 2 reported" });
});
test("bailing out is an error with its reason", async (t) => {
  await t.throwsAsync(read("ok 1 - a\nBail out! no kernel"), { message: /no kernel/ });
});
test("no output is no result", async (t) => {
  t.deepEqual(await read(""), []);
});
