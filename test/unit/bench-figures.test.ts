/** What the benchmark concludes from what it measured. */
import test from "ava";
import { type Figure, verdict } from "../bench/figure.ts";
import { interleave } from "../bench/rounds.ts";
import { median, percentile, ratios } from "../bench/stats.ts";
import { formatTable, short } from "../bench/table.ts";

function figure(change: Partial<Figure>): Figure {
  return {
    ...{ what: "speed", ours: 12, peer: 10, unit: "Mpps", peerName: "peer", judged: "ratio" },
    ratio: { median: 1.2, min: 1.1, max: 1.3 },
    bound: { sense: "at-least", must: 1, aim: 1.5, unit: "x" },
    ...change,
  };
}

test("a ratio between must and aim meets the must alone", (t) => {
  t.is(verdict(figure({})), "must met");
  t.is(verdict(figure({ ratio: { median: 1.5, min: 0.5, max: 2 } })), "aim met");
  t.is(verdict(figure({ ratio: { median: 0.99, min: 0.5, max: 2 } })), "MISSED");
});

test("of what must be small, less is better", (t) => {
  const bound = { sense: "at-most", must: 2, aim: 1, unit: "s" } as const;
  t.is(verdict(figure({ bound, judged: "ours", ours: 0.9 })), "aim met");
  t.is(verdict(figure({ bound, judged: "ours", ours: 2 })), "must met");
  t.is(verdict(figure({ bound, judged: "ours", ours: 2.1 })), "MISSED");
});

test("what was not measured meets nothing", (t) => {
  t.is(verdict(figure({ ratio: { median: Number.NaN, min: 0, max: 0 } })), "MISSED");
});

test("the ratio is that of neighbours in time, not of medians", (t) => {
  // The machine was ten times as slow in the second round: each contender suffered alike.
  t.deepEqual(ratios([20, 2, 22], [10, 1, 11]), { median: 2, min: 2, max: 2 });
});

test("median and percentile of a few values", (t) => {
  t.is(median([3, 1, 2]), 2);
  t.is(median([4, 1, 2, 3]), 2.5);
  t.is(percentile([5, 1, 4, 2, 3], 0.5), 3);
  t.is(percentile([5, 1, 4, 2, 3], 0.99), 5);
  t.true(Number.isNaN(median([])));
});

test("contenders are measured in turns, and warm-ups do not count", async (t) => {
  const order: string[] = [];
  const contender = (name: string) => ({
    name,
    measure: () => {
      order.push(name);
      return Promise.resolve({ at: order.length });
    },
  });
  const { signal } = new AbortController();
  const samples = await interleave([contender("a"), contender("b")], { warmups: 1, counted: 2, signal });
  t.is(order.join(""), "ababab");
  t.deepEqual(samples, { a: [{ at: 3 }, { at: 5 }], b: [{ at: 4 }, { at: 6 }] });
});

test("an interrupted race ends before the next measurement", async (t) => {
  const abort = new AbortController();
  const measure = () => {
    abort.abort(new Error("over"));
    return Promise.resolve({});
  };
  const rest = { name: "b", measure: () => Promise.reject(new Error("measured after the end")) };
  await t.throwsAsync(interleave([{ name: "a", measure }, rest], { warmups: 0, counted: 1, signal: abort.signal }), {
    message: "over",
  });
});

test("the table says figure, peer, ratio, bounds and verdict", (t) => {
  const row = formatTable([figure({})]).at(-1) ?? "";
  for (const part of ["speed", "12.0 Mpps", "10.0 Mpps (peer)", "1.20x (1.10-1.30)", ">= 1x", ">= 1.5x", "must met"]) {
    t.true(row.includes(part), `"${part}" is not in: ${row}`);
  }
});

test("numbers have three digits that count, and no exponent", (t) => {
  t.is(short(1234.5), "1235");
  t.is(short(12.345), "12.3");
  t.is(short(0.01234), "0.012");
  t.is(short(0), "0.00");
  t.is(short(Number.POSITIVE_INFINITY), "-");
});
