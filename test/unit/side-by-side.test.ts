import { setTimeout as sleep } from "node:timers/promises";
import test from "ava";
import { sideBySide } from "../vm/side-by-side.mjs";

async function* numbers(from: number, count: number, pause: number, onEnd: () => void): AsyncGenerator<number> {
  try {
    for (let i = 0; i < count; i++) {
      await sleep(pause);
      yield from + i;
    }
  } finally {
    onEnd();
  }
}

test("all results of all streams come, those of one in their order", async (t) => {
  const seen: number[] = [];
  let ended = 0;
  for await (const one of sideBySide([numbers(0, 3, 5, () => ended++), numbers(10, 4, 2, () => ended++)]))
    seen.push(one);
  t.deepEqual(
    seen.filter((n) => n < 10),
    [0, 1, 2],
  );
  t.deepEqual(
    seen.filter((n) => n >= 10),
    [10, 11, 12, 13],
  );
  t.is(ended, 2);
});

test("who stops reading ends all streams; one that throws does too", async (t) => {
  let ended = 0;
  for await (const _ of sideBySide([numbers(0, 9, 1, () => ended++), numbers(0, 9, 1, () => ended++)])) break;
  t.is(ended, 2);
  async function* broken(): AsyncGenerator<number> {
    yield 1;
    throw new Error("broken");
  }
  const read = async (): Promise<void> => {
    for await (const _ of sideBySide([broken(), numbers(0, 99, 1, () => ended++)]));
  };
  await t.throwsAsync(read, { message: "broken" });
  t.is(ended, 3);
});
